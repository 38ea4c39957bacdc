//! Giving up the counters of cgroups that are gone.

use std::collections::HashSet;

use archtrace_ebpf::abi::CellKey;

use super::Watch;
use crate::enrich::clock::Clock;

impl Watch {
    /// Removes what counts for cgroups that are gone, so that a node that runs for months does not
    /// fill its maps with the dead. A cgroup must be missing twice: a walk may just miss one.
    pub(super) fn sweep(&mut self) {
        let Some(alive) = self.cgroups.walk() else {
            return;
        };
        let alive: HashSet<u64> = alive.keys().copied().collect();
        let mut dead = Vec::new();
        let mut missing = HashSet::new();
        self.sensor.maps.each_key(|key: CellKey, processes| {
            if processes == 0 && !alive.contains(&key.cgroup) {
                if self.missing.contains(&key.cgroup) {
                    dead.push(key);
                }
                missing.insert(key.cgroup);
            }
        });
        let mut contents = self.outbox.lock();
        for key in &dead {
            // What it counted last must be in its fact before it goes.
            if let Some(reading) = self.sensor.maps.read_one(key, Clock::look()) {
                contents.table.read(*key, reading);
            }
            contents.table.forget(*key);
            self.sensor.maps.remove(key);
        }
        drop(contents);
        self.missing = missing;
        self.outbox.notify();
    }
}
