//! A snapshot in parts that fit into messages.

use std::collections::VecDeque;

use archtrace_facts::fact::Fact;

use super::limits::Limits;
use crate::owners::Batch;

/// What goes into one message.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) facts: Vec<Fact>,
    pub(super) owners: Batch,
}

/// Parts of about as many bytes and items as the limits allow; one at least. Names go first, and facts
/// into the same message where there is room: that of most nodes is one, which the collector need not keep
/// until others come.
pub(super) fn parts(limits: Limits, owners: Batch, facts: Vec<Fact>) -> VecDeque<Part> {
    let Batch { owners, images } = owners;
    let mut parts = Parts::new(limits);
    for owner in owners {
        parts.room(owner.weight()).owners.owners.push(owner);
    }
    for image in images {
        parts.room(image.weight()).owners.images.push(image);
    }
    for fact in facts {
        parts.room(fact.key.weight()).facts.push(fact);
    }
    let Parts { mut done, part, .. } = parts;
    done.push_back(part);
    done
}

struct Parts {
    limits: Limits,
    done: VecDeque<Part>,
    /// The one that is being filled, and what is in it.
    part: Part,
    bytes: usize,
    items: usize,
}

impl Parts {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            done: VecDeque::new(),
            part: Part::default(),
            bytes: 0,
            items: 0,
        }
    }

    /// The part that takes one more item of this weight.
    fn room(&mut self, weight: usize) -> &mut Part {
        let Limits { bytes, items } = self.limits;
        if self.items > 0 && (self.bytes + weight > bytes || self.items >= items) {
            self.done.push_back(std::mem::take(&mut self.part));
            (self.bytes, self.items) = (0, 0);
        }
        self.bytes += weight;
        self.items += 1;
        &mut self.part
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use archtrace_facts::arch::Arch;
    use archtrace_facts::fact::{FactKey, Mode};
    use archtrace_facts::identity::Identity;
    use archtrace_facts::report::Owner;

    use super::*;

    fn fact(binary: String) -> Fact {
        Fact {
            key: FactKey {
                cgroup: String::new(),
                binary,
                path_resolved: true,
                arch: Arch::Arm64,
                mode: Mode::Native,
                emulator: None,
                via: None,
                cause: None,
            },
            count: 1,
            processes: 0,
            cpu_ns: 0,
            first_seen: SystemTime::UNIX_EPOCH,
            last_seen: SystemTime::UNIX_EPOCH,
        }
    }

    fn owner(cgroup: String) -> Owner {
        Owner {
            cgroup,
            identity: Identity::default(),
        }
    }

    /// Owners and facts of each part.
    fn check(bytes: usize, items: usize, owners: usize, facts: usize, expected: &[(usize, usize)]) {
        let owners = Batch {
            owners: (0..owners).map(|i| owner(format!("/{i:099}"))).collect(),
            images: Vec::new(),
        };
        let facts = (0..facts).map(|i| fact(format!("/{i:099}"))).collect();
        let parts = parts(Limits { bytes, items }, owners, facts);
        let parts: Vec<_> = parts
            .iter()
            .map(|part| (part.owners.owners.len(), part.facts.len()))
            .collect();
        assert_eq!(parts, expected, "{bytes} bytes, {items} items");
    }

    #[test]
    fn parts_are_filled_and_not_more() {
        let (owner, fact) = (
            owner(format!("/{:099}", 0)).weight(),
            fact(format!("/{:099}", 0)).key.weight(),
        );
        check(1_000_000, 1000, 0, 0, &[(0, 0)]);
        check(1_000_000, 1000, 3, 4, &[(3, 4)]);
        check(1_000_000, 2, 3, 2, &[(2, 0), (1, 1), (0, 1)]);
        check(owner + fact, 1000, 1, 3, &[(1, 1), (0, 1), (0, 1)]);
        // One at least, however small the limits are.
        check(1, 0, 1, 1, &[(1, 0), (0, 1)]);
    }
}
