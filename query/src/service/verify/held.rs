//! Facts that are held while pods are watched.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use archtrace_facts::fleet::{NodeFact, RemovedFact};
use tonic::Status;

/// Facts that all who verify may hold together. One with its identity takes some 1.5 kB, so that this is
/// 150 MB; pods of five thousand, in a pod's usual twenty.
const MOST: usize = 100_000;

/// Facts that one of them may hold: whoever watches all there is for a day leaves room for others.
const MOST_OF_ONE: usize = MOST / 2;

/// How many they hold.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct Held(Arc<AtomicUsize>);

/// Those of one who verifies, by name.
pub(super) struct HeldFacts {
    of_all: Held,
    facts: BTreeMap<RemovedFact, NodeFact>,
}

impl HeldFacts {
    pub(super) fn new(of_all: &Held) -> Self {
        Self {
            of_all: of_all.clone(),
            facts: BTreeMap::new(),
        }
    }

    /// Holds a fact, or holds it as it is now.
    ///
    /// # Errors
    /// If that are too many for one who verifies, or for all.
    pub(super) fn insert(&mut self, name: RemovedFact, fact: NodeFact) -> Result<(), Status> {
        let is_new = self.facts.insert(name, fact).is_none();
        if !is_new {
            return Ok(());
        }
        let of_all = self.of_all.0.fetch_add(1, Ordering::Relaxed);
        if self.facts.len() > MOST_OF_ONE {
            return Err(Status::resource_exhausted(format!(
                "the pods have more than {MOST_OF_ONE} facts, which is as many as one may watch; ask for \
                 fewer at once, such as one workload"
            )));
        }
        if of_all >= MOST {
            return Err(Status::resource_exhausted(
                "those who verify pods watch too many; ask for fewer at once, such as one workload",
            ));
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &RemovedFact) {
        let was_there = self.facts.remove(name).is_some();
        self.of_all
            .0
            .fetch_sub(usize::from(was_there), Ordering::Relaxed);
    }

    pub(super) fn clear(&mut self) {
        let count = self.facts.len();
        self.facts.clear();
        self.of_all.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &NodeFact> {
        self.facts.values()
    }
}

impl Drop for HeldFacts {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_facts::arch::Arch;
    use archtrace_facts::fact::{Fact, FactId, FactKey, Mode};
    use archtrace_facts::identity::Identity;
    use std::time::SystemTime;

    fn fact() -> NodeFact {
        let key = FactKey {
            cgroup: String::new(),
            binary: "/app".to_owned(),
            path_resolved: true,
            arch: Arch::Amd64,
            mode: Mode::Native,
            emulator: None,
            via: None,
            cause: None,
        };
        NodeFact {
            cluster: String::new(),
            node: String::new(),
            node_arch: Arch::Amd64,
            fact: Fact {
                key,
                count: 1,
                processes: 0,
                cpu_ns: 0,
                first_seen: SystemTime::UNIX_EPOCH,
                last_seen: SystemTime::UNIX_EPOCH,
            },
            identity: Identity::default(),
            current: true,
            ended: false,
        }
    }

    #[test]
    fn what_all_hold_is_bounded_and_given_back() {
        let name = |id| RemovedFact {
            cluster: String::new(),
            node: String::new(),
            id: FactId([id; 16]),
        };
        let (of_all, fact) = (Held::default(), fact());
        let count = || of_all.0.load(Ordering::Relaxed);
        let mut held = HeldFacts::new(&of_all);
        for (id, counted) in [(1, 1), (1, 1), (2, 2)] {
            held.insert(name(id), fact.clone()).expect("room");
            assert_eq!(count(), counted);
        }
        held.remove(&name(1));
        held.remove(&name(1));
        assert_eq!((count(), held.iter().count()), (1, 1));
        drop(held);
        assert_eq!(count(), 0);
        of_all.0.store(MOST, Ordering::Relaxed);
        let mut held = HeldFacts::new(&of_all);
        let status = held.insert(name(1), fact).expect_err("too many");
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    }

    #[test]
    fn one_leaves_room_for_others() {
        let name = |number: u32| RemovedFact {
            cluster: String::new(),
            node: number.to_string(),
            id: FactId([0; 16]),
        };
        let (of_all, fact) = (Held::default(), fact());
        let mut large = HeldFacts::new(&of_all);
        let refused = (0..).find(|number| large.insert(name(*number), fact.clone()).is_err());
        assert_eq!(
            refused.and_then(|number| usize::try_from(number).ok()),
            Some(MOST_OF_ONE)
        );
        let mut other = HeldFacts::new(&of_all);
        assert!(other.insert(name(0), fact).is_ok());
    }
}
