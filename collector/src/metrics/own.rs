//! What this process counts while it works: numbers that are added to, and cost a few nanoseconds.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use archtrace_metrics::Sheet;
use prometheus_client::metrics::histogram::Histogram;

use super::names;
use crate::store::Applied;

/// A commit takes a millisecond where all is well; agents give up after minutes.
const COMMITS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// What is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Attach,
    Snapshot,
    Delta,
    Events,
    Heartbeats,
    Expire,
    Forget,
}

impl Operation {
    const ALL: [Self; 7] = [
        Self::Attach,
        Self::Snapshot,
        Self::Delta,
        Self::Events,
        Self::Heartbeats,
        Self::Expire,
        Self::Forget,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Attach => "attach",
            Self::Snapshot => "snapshot",
            Self::Delta => "delta",
            Self::Events => "events",
            Self::Heartbeats => "heartbeats",
            Self::Expire => "expire",
            Self::Forget => "forget",
        }
    }
}

/// What may become of an update, in words for a label.
const OUTCOMES: [&str; 5] = [
    "applied",
    "superseded",
    "other_epoch",
    "other_revision",
    "other_digest",
];

fn outcome(applied: Applied) -> usize {
    match applied {
        Applied::Yes(_) => 0,
        Applied::Superseded => 1,
        Applied::OtherEpoch => 2,
        Applied::OtherRevision(_) => 3,
        Applied::OtherDigest(_) => 4,
    }
}

/// The numbers.
#[derive(Debug)]
pub(crate) struct Own {
    started_at: SystemTime,
    commits: [Histogram; Operation::ALL.len()],
    failures: [AtomicU64; Operation::ALL.len()],
    snapshots: [AtomicU64; OUTCOMES.len()],
    deltas: [AtomicU64; OUTCOMES.len()],
    upserts: AtomicU64,
    records: AtomicU64,
    agents: AtomicU64,
    attached: AtomicU64,
    resyncs: AtomicU64,
    throttles: AtomicU64,
    forgotten: AtomicU64,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            started_at: SystemTime::now(),
            commits: array::from_fn(|_| Histogram::new(COMMITS)),
            failures: Default::default(),
            snapshots: Default::default(),
            deltas: Default::default(),
            upserts: AtomicU64::new(0),
            records: AtomicU64::new(0),
            agents: AtomicU64::new(0),
            attached: AtomicU64::new(0),
            resyncs: AtomicU64::new(0),
            throttles: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
        }
    }
}

/// Counts an agent for as long as it reports.
#[derive(Debug)]
pub(crate) struct Reporting<'a>(&'a Own);

impl Drop for Reporting<'_> {
    fn drop(&mut self) {
        self.0.agents.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Own {
    /// An agent was welcomed, and reports until what is returned is dropped.
    pub(crate) fn reporting(&self) -> Reporting<'_> {
        add(&self.agents, 1);
        add(&self.attached, 1);
        Reporting(self)
    }

    /// An agent was asked to tell all its facts again.
    pub(crate) fn resync(&self) {
        add(&self.resyncs, 1);
    }

    /// An agent was asked to wait.
    pub(crate) fn throttle(&self) {
        add(&self.throttles, 1);
    }

    /// So many nodes were forgotten.
    pub(super) fn forgot(&self, nodes: u64) {
        self.forgotten.fetch_add(nodes, Ordering::Relaxed);
    }

    /// Something was committed, or was not.
    pub(super) fn commit(&self, operation: Operation, took: Duration, worked: bool) {
        let place = operation as usize;
        if let Some(histogram) = self.commits.get(place) {
            histogram.observe(took.as_secs_f64());
        }
        if let Some(failures) = self.failures.get(place).filter(|_| !worked) {
            add(failures, 1);
        }
    }

    /// A snapshot of so many facts was dealt with.
    pub(super) fn snapshot(&self, applied: Applied, upserts: usize) {
        self.update(&self.snapshots, applied, upserts);
    }

    /// A delta with so many facts was dealt with.
    pub(super) fn delta(&self, applied: Applied, upserts: usize) {
        self.update(&self.deltas, applied, upserts);
    }

    fn update(&self, counts: &[AtomicU64], applied: Applied, upserts: usize) {
        if let Some(count) = counts.get(outcome(applied)) {
            add(count, 1);
        }
        if matches!(applied, Applied::Yes(_)) {
            add(&self.upserts, upserts);
        }
    }

    /// So many records were stored.
    pub(super) fn records(&self, count: usize) {
        add(&self.records, count);
    }

    /// Writes them down.
    pub(super) fn show(&self, sheet: &mut Sheet) {
        let version = env!("CARGO_PKG_VERSION");
        sheet.by(&names::INFO, "version", [(version, 1_u64)]);
        let started = self.started_at.duration_since(SystemTime::UNIX_EPOCH);
        sheet.one(&names::STARTED, started.unwrap_or_default().as_secs_f64());
        sheet.one(&names::AGENTS, get(&self.agents));
        sheet.one(&names::ATTACHED, get(&self.attached));
        let updates = [("snapshot", &self.snapshots), ("delta", &self.deltas)];
        let updates = updates.into_iter().flat_map(|(kind, counts)| {
            OUTCOMES.into_iter().zip(counts).map(move |(word, count)| {
                let labels = vec![("kind", kind.into()), ("result", word.into())];
                (labels, get(count))
            })
        });
        sheet.many(&names::UPDATES, updates);
        sheet.one(&names::UPSERTS, get(&self.upserts));
        sheet.one(&names::RECORDS, get(&self.records));
        sheet.one(&names::RESYNCS, get(&self.resyncs));
        sheet.one(&names::THROTTLES, get(&self.throttles));
        sheet.one(&names::FORGOTTEN, get(&self.forgotten));
        let words = || Operation::ALL.into_iter().map(Operation::as_str);
        sheet.by(&names::COMMITS, "operation", words().zip(&self.commits));
        let failures = self.failures.iter().map(get);
        sheet.by(&names::FAILURES, "operation", words().zip(failures));
    }
}

fn add(count: &AtomicU64, more: usize) {
    count.fetch_add(u64::try_from(more).unwrap_or(0), Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_its_own_place() {
        for (i, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, i, "{operation:?}");
        }
    }
}
