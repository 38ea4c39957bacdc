//! Giving up counters: those of cgroups that are gone, and where they become scarce, idle ones.

use std::collections::HashSet;
use std::time::Duration;

use archtrace_ebpf::abi::CellKey;

use super::Watch;
use crate::enrich::clock::Clock;

/// What was not executed for so long may lose its counter, if those become scarce; its fact stays with
/// the collector, and a new exec goes on from there.
const IDLE: Duration = Duration::from_secs(600);

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
        let mut files = HashSet::new();
        self.sensor.maps.each_key(|key: CellKey, processes| {
            files.insert((key.inode, key.dev));
            if processes == 0 && !alive.contains(&key.cgroup) {
                if self.missing.contains(&key.cgroup) {
                    dead.push(key);
                }
                missing.insert(key.cgroup);
            }
        });
        // One container that executes ever new files must not leave the node without counters.
        let idle = Clock::look().monotonic_before(IDLE);
        dead.extend(self.sensor.maps.idle_foreign(idle));
        let mut contents = self.outbox.lock();
        for key in &dead {
            // What it counted last must be in its fact before it goes.
            if let Some(reading) = self.sensor.maps.read_one(key, Clock::look()) {
                contents.table.read(*key, self.direct.correct(key, reading));
            }
            contents.table.forget(*key);
            self.direct.forget(key);
            self.sensor.maps.remove(key);
        }
        drop(contents);
        self.missing = missing;
        self.sweep_sandboxes();
        self.outbox.lock().owners.sweep();
        // Those that nobody has executed since the agent came are found again if somebody does.
        let gone: Vec<_> = self.emulators.difference(&files).copied().collect();
        for file in gone {
            self.emulators.remove(&file);
            self.scanned.remove(&file);
            self.sensor.maps.remove_emulator(file);
        }
        self.outbox.notify();
    }
}
