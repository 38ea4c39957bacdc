//! What somebody should act on: from facts, events, images and nodes, each thing once.
//!
//! | module | what |
//! |---|---|
//! | [`evidence`] | what shows a finding, and what it is about |
//! | [`recent`] | what is not in the live view: events, images and nodes, as of some seconds ago |

pub(crate) mod evidence;
pub(crate) mod recent;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use archtrace_facts::finding::{Id, Severity};
use archtrace_facts::fleet::{FleetFinding, SubjectKind};

use crate::token::{Texts, Token};
use evidence::Evidence;

/// What makes two pieces of evidence one finding; in the order in which findings are told: the worst
/// first. It never changes, so that pages can be cut along it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    severity: Reverse<Severity>,
    id: Id,
    cluster: String,
    namespace: String,
    kind: SubjectKind,
    subject: String,
    binary: String,
    arch: String,
}

impl Token for Key {
    fn to_numbers(&self) -> Vec<u64> {
        let Self {
            severity: _,
            id,
            cluster,
            namespace,
            kind,
            subject,
            binary,
            arch,
        } = self;
        [
            id.as_str(),
            cluster,
            namespace,
            kind.as_str(),
            subject,
            binary,
            arch,
        ]
        .pack()
    }

    fn from_numbers(numbers: &[u64]) -> Option<Self> {
        let [id, cluster, namespace, kind, subject, binary, arch] = <[String; 7]>::unpack(numbers)?;
        let id = id.parse().ok()?;
        Some(Self {
            severity: Reverse(severity(id)),
            id,
            cluster,
            namespace,
            kind: kind.parse().ok()?,
            subject,
            binary,
            arch,
        })
    }
}

/// What the catalogue says; all ids are in there.
fn severity(id: Id) -> Severity {
    id.entry().map_or(Severity::Info, |entry| entry.severity)
}

/// Which findings are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// These; all if there are none.
    pub(crate) ids: Vec<Id>,
    /// Those that matter at least that much.
    pub(crate) least: Severity,
}

impl Wanted {
    fn has(&self, id: Id) -> bool {
        (self.ids.is_empty() || self.ids.contains(&id)) && severity(id) >= self.least
    }
}

/// Findings by what they are about.
#[derive(Debug)]
pub(crate) struct Findings {
    wanted: Wanted,
    found: BTreeMap<Key, Found>,
}

#[derive(Debug, Default)]
struct Found {
    emulator: String,
    /// Clusters and names.
    nodes: BTreeSet<(String, String)>,
    /// Nodes of which the names are not known.
    more_nodes: u64,
    evidence: u64,
    processes: u64,
    first_seen: Option<SystemTime>,
    last_seen: Option<SystemTime>,
}

impl Findings {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            found: BTreeMap::new(),
        }
    }

    /// Adds what shows a finding.
    pub(crate) fn add(&mut self, evidence: Evidence) {
        let Evidence {
            id,
            cluster,
            namespace,
            kind,
            subject,
            binary,
            arch,
            emulator,
            node,
            more_nodes,
            count,
            processes,
            first_seen,
            last_seen,
        } = evidence;
        if !self.wanted.has(id) {
            return;
        }
        let key = Key {
            severity: Reverse(severity(id)),
            id,
            cluster,
            namespace,
            kind,
            subject,
            binary,
            arch: arch.map(|arch| arch.to_string()).unwrap_or_default(),
        };
        let found = self.found.entry(key).or_default();
        // The same one, in whatever order evidence comes.
        if found.emulator.is_empty() || (!emulator.is_empty() && emulator < found.emulator) {
            found.emulator = emulator;
        }
        found.nodes.extend(node);
        found.more_nodes += more_nodes;
        found.evidence = found.evidence.saturating_add(count);
        found.processes = found.processes.saturating_add(processes);
        found.first_seen = earlier(found.first_seen, first_seen);
        found.last_seen = found.last_seen.max(last_seen);
    }

    /// How many there are of each kind.
    pub(crate) fn counts(&self) -> BTreeMap<Id, u64> {
        let mut counts = BTreeMap::new();
        for key in self.found.keys() {
            *counts.entry(key.id).or_default() += 1;
        }
        counts
    }

    /// Those behind `after`, at most `limit`.
    pub(crate) fn page(self, after: Option<&Key>, limit: usize) -> Vec<(Key, FleetFinding)> {
        let found = self.found.into_iter();
        let behind = found.filter(|(key, _)| after.is_none_or(|after| key > after));
        behind
            .take(limit)
            .map(|(key, found)| {
                let finding = finding(&key, found);
                (key, finding)
            })
            .collect()
    }
}

fn earlier(a: Option<SystemTime>, b: Option<SystemTime>) -> Option<SystemTime> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn finding(key: &Key, found: Found) -> FleetFinding {
    let Key {
        severity: Reverse(severity),
        id,
        cluster,
        namespace,
        kind,
        subject,
        binary,
        arch,
    } = key.clone();
    let nodes = u64::try_from(found.nodes.len()).unwrap_or(u64::MAX);
    let names = found.nodes.into_iter().map(|(_, name)| name);
    FleetFinding {
        id: id.to_string(),
        severity,
        title: id.entry().map_or("", |entry| entry.title).to_owned(),
        cluster,
        namespace,
        subject,
        subject_kind: kind,
        binary,
        arch,
        emulator: found.emulator,
        nodes: nodes.saturating_add(found.more_nodes),
        node_names: names.take(FleetFinding::NAMES).collect(),
        evidence: found.evidence,
        processes: found.processes,
        first_seen: found.first_seen,
        last_seen: found.last_seen,
    }
}

#[cfg(test)]
mod tests;
