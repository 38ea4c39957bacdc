//! What a store should hold of one node's facts.

use std::collections::BTreeMap;

use archtrace_collector::store::{Applied, Lease};
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Fact, FactKey, Mode};
use archtrace_facts::fleet::NodeFact;
use archtrace_facts::identity;

use super::super::super::support;
use super::By;

/// What an agent tells of a fact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) count: u64,
    pub(super) processes: u64,
}

/// What readers see of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    count: u64,
    cpu_ns: u64,
    processes: u64,
    pod: String,
}

impl Shown {
    pub(super) fn of(fact: &NodeFact) -> Self {
        Self {
            count: fact.fact.count,
            cpu_ns: fact.fact.cpu_ns,
            processes: fact.fact.processes,
            pod: fact.identity.pod.clone(),
        }
    }
}

pub(super) fn cgroup(number: u8) -> String {
    format!("/{number}.slice")
}

pub(super) fn fact(name: u8, told: Told) -> Fact {
    Fact {
        key: FactKey {
            cgroup: cgroup(name % 2),
            ..support::key(&format!("/{name}"), Mode::Emulated)
        },
        processes: told.processes,
        ..support::fact("", told.count)
    }
}

pub(super) fn told(facts: &BTreeMap<u8, Told>) -> Vec<Fact> {
    facts
        .iter()
        .map(|(name, told)| fact(*name, *told))
        .collect()
}

#[derive(Clone, Debug, Default)]
struct Kept {
    total: u64,
    /// What the agent of each epoch counts from.
    counted: BTreeMap<u64, u64>,
    processes: u64,
    live: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) epoch: u64,
    leases: Vec<Lease>,
    is_there: bool,
    revision: Option<u64>,
    facts: BTreeMap<u8, Kept>,
    pods: BTreeMap<u8, u8>,
}

impl Model {
    pub(super) fn new(lease: Lease) -> Self {
        Self {
            epoch: 1,
            leases: vec![lease],
            is_there: true,
            revision: None,
            facts: BTreeMap::new(),
            pods: BTreeMap::new(),
        }
    }

    /// Returns what the store holds of this epoch.
    pub(super) fn attach(&mut self, epoch: u64, lease: Lease) -> Option<(u64, Digest)> {
        self.leases.push(lease);
        self.is_there = true;
        if epoch != self.epoch {
            self.epoch = epoch;
            self.end();
        }
        self.revision.map(|revision| (revision, self.digest()))
    }

    fn end(&mut self) {
        self.revision = None;
        for kept in self.facts.values_mut() {
            (kept.live, kept.processes) = (false, 0);
        }
    }

    /// Whether there was anything to forget.
    pub(super) fn forget(&mut self) -> bool {
        self.end();
        std::mem::take(&mut self.is_there)
    }

    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    /// Whose lease, and whether it is the last one.
    pub(super) fn lease(&self, by: By) -> (Lease, bool) {
        let last = self.leases.len() - 1;
        let at = match by {
            By::Last => last,
            By::Earlier(index) => index.index(self.leases.len()),
        };
        (self.leases[at], at == last && self.is_there)
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision.unwrap_or(0)
    }

    /// The digest to send with these facts; another one if it is not to be right.
    pub(super) fn digest_of(&self, facts: &BTreeMap<u8, Told>, right: bool) -> Digest {
        off(told(facts).iter().map(Digest::of_fact).sum(), right)
    }

    pub(super) fn snapshot(
        &mut self,
        facts: &BTreeMap<u8, Told>,
        right: bool,
        is_last: bool,
    ) -> Applied {
        if !is_last {
            return Applied::Superseded;
        }
        let digest = self.digest_of(facts, true);
        if !right {
            return Applied::OtherDigest(digest);
        }
        for name in 0..5 {
            match facts.get(&name) {
                Some(told) => self.take(name, *told),
                None => self.drop(name),
            }
        }
        self.revision = Some(1);
        Applied::Yes(digest)
    }

    /// Returns the digest to send, too.
    pub(super) fn delta(
        &mut self,
        upserts: &BTreeMap<u8, Told>,
        removed: &[u8],
        pod: Option<(u8, u8)>,
        base: u64,
        right: bool,
        is_last: bool,
    ) -> (Applied, Digest) {
        let mut after = self.clone();
        for (name, told) in upserts {
            after.take(*name, *told);
        }
        for name in removed {
            after.drop(*name);
        }
        after.pods.extend(pod);
        after.revision = Some(base + 1);
        let digest = after.digest();
        let applied = if !is_last {
            Applied::Superseded
        } else if self.revision != Some(base) {
            Applied::OtherRevision(self.revision)
        } else if !right {
            Applied::OtherDigest(digest)
        } else {
            *self = after;
            Applied::Yes(digest)
        };
        (applied, off(digest, right))
    }

    fn take(&mut self, name: u8, told: Told) {
        let kept = self.facts.entry(name).or_default();
        let counted = kept.counted.entry(self.epoch).or_default();
        kept.total = kept.total + told.count - *counted;
        *counted = told.count;
        (kept.live, kept.processes) = (true, told.processes);
    }

    fn drop(&mut self, name: u8) {
        if let Some(kept) = self.facts.get_mut(&name) {
            kept.counted.remove(&self.epoch);
            (kept.live, kept.processes) = (false, 0);
        }
    }

    fn digest(&self) -> Digest {
        let live = self.facts.iter().filter(|(_, kept)| kept.live);
        let digests = live.map(|(name, kept)| {
            let told = Told {
                count: kept.counted[&self.epoch],
                processes: kept.processes,
            };
            Digest::of_fact(&fact(*name, told))
        });
        digests.sum()
    }

    /// All facts, and whether they are history.
    pub(super) fn all(&self) -> BTreeMap<String, (Shown, bool)> {
        let facts = self.facts.iter().map(|(name, kept)| {
            let pod = self.pods.get(&(name % 2));
            let shown = Shown {
                count: kept.total,
                cpu_ns: kept.total * 1000,
                processes: kept.processes,
                pod: pod.map_or_else(String::new, |pod| format!("pod-{pod}")),
            };
            (format!("/{name}"), (shown, !kept.live))
        });
        facts.collect()
    }

    /// CPU time by whose it is: the sum over all that was ever told, whatever became of it.
    pub(super) fn burnt(&self) -> BTreeMap<String, u64> {
        let mut burnt = BTreeMap::new();
        for (name, kept) in self.facts.iter().filter(|(_, kept)| kept.total > 0) {
            let workload = match self.pods.get(&(name % 2)) {
                Some(pod) => format!("Pod/pod-{pod}"),
                None => identity::of_cgroup(&cgroup(name % 2)).unit,
            };
            *burnt.entry(workload).or_default() += kept.total * 1000;
        }
        burnt
    }

    pub(super) fn live(&self) -> BTreeMap<String, Shown> {
        let live = self.all().into_iter().filter(|(_, (_, ended))| !ended);
        live.map(|(name, (shown, _))| (name, shown)).collect()
    }
}

fn off(digest: Digest, right: bool) -> Digest {
    if right {
        return digest;
    }
    digest.plus(Digest::of_fact(&fact(9, Told::default())))
}
