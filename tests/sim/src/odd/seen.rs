//! What odd agents saw.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::figures;

/// What such an agent saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How long acknowledgements of deltas took.
    pub commits: Vec<Duration>,
    /// Batches that were stored before, and which the collector did not store again.
    pub duplicates: u64,
    /// How often an old epoch came back.
    pub old_epochs: u64,
    /// How often answers were not read.
    pub stalls: u64,
    /// Streams that ended or were refused, by reason.
    pub ends: BTreeMap<String, u64>,
}

impl Seen {
    /// A stream ended.
    pub(super) fn end(&mut self, error: &anyhow::Error) {
        *self.ends.entry(format!("{error:#}")).or_default() += 1;
    }

    /// Takes in what another one saw.
    pub fn add(&mut self, other: &Self) {
        let Self {
            commits,
            duplicates,
            old_epochs,
            stalls,
            ends,
        } = other;
        self.commits.extend(commits);
        self.duplicates += duplicates;
        self.old_epochs += old_epochs;
        self.stalls += stalls;
        for (reason, times) in ends {
            *self.ends.entry(reason.clone()).or_default() += times;
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            commits,
            duplicates,
            old_epochs,
            stalls,
            ends,
        } = self;
        write!(
            f,
            "{duplicates} batches sent twice and stored once, {old_epochs} times an old epoch, {stalls} times no \
             answer read, {} streams ended, {} deltas acknowledged (p50 {:.1} ms, p99 {:.1} ms)",
            ends.values().sum::<u64>(),
            commits.len(),
            figures::percentile(commits, 50).as_secs_f64() * 1e3,
            figures::percentile(commits, 99).as_secs_f64() * 1e3,
        )
    }
}
