//! What was dropped on this side of the collector, by stage.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use archtrace_ebpf::abi::stat;
use archtrace_facts::fact::{Loss, Stage};

use crate::source::missed;
use crate::source::sensor::Sensor;
use crate::source::stats::Stats;

/// Losses since they were last told. Told together, because whoever floods a node with what is
/// lost must not flood the log and the queue too.
pub(super) struct Losses {
    stats: Stats,
    missed: u64,
    pending: BTreeMap<Stage, u64>,
    since: SystemTime,
    logged: BTreeMap<Stage, Instant>,
}

/// The log says so of one stage no more often than that; the counts are in the events.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Which statistic of the programs means a loss, and where.
const KERNEL: [(Stage, u32); 6] = [
    (Stage::KernelMap, stat::OTHER_NATIVE),
    (Stage::KernelMap, stat::OTHER_FOREIGN),
    (Stage::RingBuffer, stat::LOST_RING),
    (Stage::InFlight, stat::LOST_FLIGHT),
    (Stage::TaskMap, stat::LOST_TASK),
    (Stage::ProgramMissed, stat::MISSED_RETURN),
];

impl Losses {
    /// Starts from zero: the statistics are as old as the programs.
    pub(super) fn new(since: SystemTime) -> Self {
        Self {
            stats: Stats::default(),
            missed: 0,
            pending: BTreeMap::new(),
            since,
            logged: BTreeMap::new(),
        }
    }

    /// `count` records were dropped at `stage`.
    pub(super) fn add(&mut self, stage: Stage, count: u64) {
        if count > 0 {
            *self.pending.entry(stage).or_default() += count;
        }
    }

    /// Reads which programs the kernel skipped; some microseconds each.
    pub(super) fn read_missed(&mut self, sensor: &Sensor) {
        let missed = missed::read(&sensor.ebpf);
        self.add(Stage::ProgramMissed, missed.saturating_sub(self.missed));
        self.missed = self.missed.max(missed);
    }

    /// Reads the programs' statistics, and tells what was lost since the last time.
    pub(super) fn take(&mut self, sensor: &Sensor) -> Vec<Loss> {
        match sensor.maps.stats() {
            Ok(stats) => {
                let before = std::mem::replace(&mut self.stats, stats);
                for (stage, index) in KERNEL {
                    let index = index as usize;
                    self.add(stage, stats[index].saturating_sub(before[index]));
                }
            }
            Err(error) => tracing::error!(error, "losses in the kernel are not known"),
        }
        let (since, until) = (self.since, SystemTime::now());
        self.since = until;
        std::mem::take(&mut self.pending)
            .into_iter()
            .map(|(stage, count)| {
                let logged = self.logged.get(&stage);
                if logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
                    tracing::warn!(%stage, count, "lost; `archtrace events --kind loss` tells them all");
                    self.logged.insert(stage, Instant::now());
                }
                Loss {
                    stage,
                    count,
                    since,
                    until,
                }
            })
            .collect()
    }
}
