//! Readings of the kernel side's counters.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use archtrace_ebpf::abi::{CellKey, mode};
use archtrace_facts::aggregate::Reading;
use archtrace_facts::fact::Stage;

use super::Watch;
use crate::enrich::clock::Clock;

/// A record of a key is followed by execs that send none for a second; the rest is for a busy node.
const RECORDED_LATELY: Duration = Duration::from_secs(3);
/// More than the ring buffer holds.
const MAX_BATCHES: usize = 8;

impl Watch {
    /// Whether what is not native may have been counted since the last look. An exec that sends no
    /// record follows one that did within a second, and what ends was alive before.
    pub(super) fn may_have_counted(&self) -> bool {
        self.alive
            || self
                .recorded
                .is_some_and(|recorded| recorded.elapsed() < RECORDED_LATELY)
    }

    pub(super) fn read_foreign(&mut self) {
        let dropped = self.outbox.lock().table.take_dropped();
        self.losses.add(Stage::FactTable, dropped);
        let losses = self.losses.take(&self.sensor);
        let clock = Clock::look();
        let mut readings = self.sensor.maps.read_foreign(clock);
        if readings.iter().any(|(key, _)| key.mode == mode::DIRECT) {
            // What was counted must be known to be looked into before it is told. Bounded, because
            // records may come as fast as they are taken.
            for _ in 0..MAX_BATCHES {
                if !self.take_records() {
                    break;
                }
            }
        }
        readings.extend(self.other_readings(clock, &readings));
        let mut alive = false;
        let mut contents = self.outbox.lock();
        for loss in losses {
            contents.push_loss(loss);
        }
        for (key, reading) in readings {
            alive |= reading.processes > 0;
            let reading = self.direct.correct(&key, reading);
            contents.table.read(key, reading);
        }
        self.alive = alive;
        let news = contents.table.has_changes() || !contents.events.is_empty();
        drop(contents);
        if news {
            self.outbox.notify();
        }
    }

    /// Counters that are not in the map of those that `read` are of.
    fn other_readings(&self, clock: Clock, read: &[(CellKey, Reading)]) -> Vec<(CellKey, Reading)> {
        let known: HashSet<_> = read.iter().map(|(key, _)| *key).collect();
        let not_found = self.not_found.iter().filter_map(|key| {
            let reading = self.sensor.maps.read_one(key, clock)?;
            Some((*key, reading))
        });
        let nothing = Reading {
            count: 0,
            cpu_ns: 0,
            processes: 0,
            last: clock.now(),
        };
        let guests = self.direct.guests().map(|key| (key, nothing));
        not_found
            .chain(guests.filter(|(key, _)| !known.contains(key)))
            .collect()
    }

    pub(super) fn read_native(&mut self) {
        let mut contents = self.outbox.lock();
        self.sensor
            .maps
            .read_native(SystemTime::now(), |key, reading| {
                contents.table.read(key, reading);
            });
        drop(contents);
        self.outbox.notify();
    }
}
