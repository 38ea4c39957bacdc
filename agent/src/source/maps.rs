//! The maps that the programs fill.

use std::time::SystemTime;

use archtrace_ebpf::abi::{
    CellKey, FileKey, ForeignCell, HotCell, Interpreter, NativeCell, TrackedTask,
};
use archtrace_facts::aggregate::Reading;
use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};

use super::stats::{self, Stats};
use crate::enrich::clock::Clock;

/// Thread groups that can be taken in at once: the map's size.
pub(crate) const MAX_ADOPTED: usize = 1024;

/// Three quarters of the counters of what is not native: up to here none is given up for being idle.
const PLENTY: usize = 3072;

/// All of them, taken out of the object.
pub(crate) struct Maps {
    pub(crate) records: RingBuf<MapData>,
    native: HashMap<MapData, CellKey, NativeCell>,
    hot: Array<MapData, HotCell>,
    claimed: HashMap<MapData, u32, u32>,
    foreign: HashMap<MapData, CellKey, ForeignCell>,
    not_found: HashMap<MapData, CellKey, ForeignCell>,
    emulators: HashMap<MapData, FileKey, u32>,
    emulator_count: Array<MapData, u64>,
    /// What was counted in places of the table that were given up, by those who live on.
    released: std::collections::HashMap<CellKey, u64>,
    tasks: HashMap<MapData, u64, TrackedTask>,
    interpreters: HashMap<MapData, u64, Interpreter>,
    adopt: HashMap<MapData, u32, CellKey>,
    stats: PerCpuArray<MapData, u64>,
}

/// A map that is not there, not of its kind, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("BPF map {name}: {error}")]
pub(crate) struct MapsError {
    name: &'static str,
    error: String,
}

impl MapsError {
    fn new(name: &'static str, error: impl std::fmt::Display) -> Self {
        Self {
            name,
            error: error.to_string(),
        }
    }
}

impl Maps {
    /// Takes the maps; the programs keep using them.
    pub(crate) fn take(ebpf: &mut Ebpf) -> Result<Self, MapsError> {
        Ok(Self {
            records: take(ebpf, "RECORDS")?,
            native: take(ebpf, "NATIVE")?,
            hot: take(ebpf, "HOT")?,
            claimed: take(ebpf, "CLAIMED")?,
            foreign: take(ebpf, "FOREIGN")?,
            not_found: take(ebpf, "NOT_FOUND")?,
            emulators: take(ebpf, "EMULATORS")?,
            emulator_count: take(ebpf, "EMULATOR_COUNT")?,
            released: std::collections::HashMap::new(),
            tasks: take(ebpf, "TASKS")?,
            interpreters: take(ebpf, "INTERPRETERS")?,
            adopt: take(ebpf, "ADOPT")?,
            stats: take(ebpf, "STATS")?,
        })
    }

    /// Counters of native binaries. They carry no times: an exec pays for every clock it reads, so
    /// what was counted since the last look is dated `now`.
    pub(crate) fn read_native(&self, now: SystemTime, mut each: impl FnMut(CellKey, Reading)) {
        for (key, cell) in self.native.iter().flatten() {
            each(key, self.native_reading(&key, &cell, now));
        }
    }

    /// What was counted before it had its place in the table, and since.
    fn native_reading(&self, key: &CellKey, cell: &NativeCell, now: SystemTime) -> Reading {
        let hot = if cell.tried == 0 { None } else { self.hot(key) };
        let released = self.released.get(key).copied().unwrap_or(0);
        Reading {
            count: cell.count + hot.map_or(0, |hot| hot.count) + released,
            cpu_ns: 0,
            processes: 0,
            last: now,
        }
    }

    /// The place of a native binary in the table, if it has one.
    fn hot(&self, key: &CellKey) -> Option<HotCell> {
        let words = key.words();
        let cell = self.hot.get(&CellKey::hot_slot(&words), 0).ok()?;
        (cell.key == words).then_some(cell)
    }

    /// All other counters, with the CPU time of tasks alive added in.
    pub(crate) fn read_foreign(&self, clock: Clock) -> Vec<(CellKey, Reading)> {
        // Counters first: a task that ends in between is missed until the next look. The other way
        // round it would count twice.
        let cells: Vec<_> = self.foreign.iter().flatten().collect();
        let mut live = std::collections::HashMap::<CellKey, u64>::new();
        if cells.iter().any(|(_, cell)| cell.processes > 0) {
            // By address first: where a key vanishes under it, the walk starts anew.
            let tasks: std::collections::HashMap<u64, TrackedTask> =
                self.tasks.iter().flatten().collect();
            for task in tasks.values() {
                *live.entry(task.key).or_default() += task.live_ns;
            }
        }
        let readings = cells.into_iter().map(|(key, cell)| {
            let mut reading = foreign_reading(&cell, clock);
            reading.cpu_ns += live.get(&key).copied().unwrap_or(0);
            (key, reading)
        });
        readings.collect()
    }

    /// One counter of what is not native, without the CPU time of tasks alive.
    pub(crate) fn read_one(&self, key: &CellKey, clock: Clock) -> Option<Reading> {
        if let Ok(cell) = self.native.get(key, 0) {
            return Some(self.native_reading(key, &cell, clock.now()));
        }
        let cell = self.foreign.get(key, 0);
        let cell = cell.or_else(|_| self.not_found.get(key, 0)).ok()?;
        Some(foreign_reading(&cell, clock))
    }

    /// Makes a file known as an emulator. Its execs have to come by the slow way from now on, so that
    /// it loses its places in the table; what it counted there is remembered here.
    ///
    /// # Errors
    /// The map is full.
    pub(crate) fn add_emulator(&mut self, file: (u64, u32)) -> Result<(), MapError> {
        self.emulators.insert(file_key(file), 1, 0)?;
        self.emulator_count
            .set(0, self.emulators.keys().count() as u64, 0)?;
        let natives: Vec<_> = self.native.keys().flatten().collect();
        for key in natives.iter().filter(|key| (key.inode, key.dev) == file) {
            if let Some(hot) = self.hot(key) {
                *self.released.entry(*key).or_default() += hot.count;
                self.release(key);
            }
        }
        Ok(())
    }

    /// A file that was an emulator is gone.
    pub(crate) fn remove_emulator(&mut self, file: (u64, u32)) {
        // Gone already is as good, and a number that is too high only costs look-ups.
        let _ = self.emulators.remove(&file_key(file));
        let _ = self
            .emulator_count
            .set(0, self.emulators.keys().count() as u64, 0);
    }

    /// Gives up a place in the table.
    fn release(&mut self, key: &CellKey) {
        let slot = CellKey::hot_slot(&key.words());
        // First the slot, then the right to it: nobody else may write to it until then.
        let _ = self.hot.set(slot, HotCell::default(), 0);
        let _ = self.claimed.remove(&slot);
    }

    /// Whether any emulated task is alive.
    pub(crate) fn has_tasks(&self) -> bool {
        self.tasks.keys().next().is_some()
    }

    /// All keys, with the processes alive.
    pub(crate) fn each_key(&self, mut each: impl FnMut(CellKey, u64)) {
        for key in self.native.keys().flatten() {
            each(key, 0);
        }
        for (key, cell) in self.foreign.iter().flatten() {
            each(key, cell.processes);
        }
    }

    /// If the counters of what is not native become scarce: those without processes whose last exec was
    /// before `since`, in nanoseconds of `CLOCK_MONOTONIC`.
    pub(crate) fn idle_foreign(&self, since: u64) -> Vec<CellKey> {
        let cells: Vec<_> = self.foreign.iter().flatten().collect();
        if cells.len() < PLENTY {
            return Vec::new();
        }
        let idle = cells
            .into_iter()
            .filter(|(_, cell)| cell.processes == 0 && cell.last_ns < since);
        idle.map(|(key, _)| key).collect()
    }

    /// Gives up a counter that nothing uses any more.
    pub(crate) fn remove(&mut self, key: &CellKey) {
        if self.hot(key).is_some() {
            self.release(key);
        }
        self.released.remove(key);
        // Gone already is as good.
        let _ = self.native.remove(key);
        let _ = self.foreign.remove(key);
    }

    /// What interpreter strings stand for, by their hash.
    pub(crate) fn set_interpreters(&mut self, known: &std::collections::HashMap<u64, Interpreter>) {
        let stale: Vec<_> = self
            .interpreters
            .keys()
            .flatten()
            .filter(|hash| !known.contains_key(hash))
            .collect();
        for hash in stale {
            let _ = self.interpreters.remove(&hash);
        }
        for (hash, interpreter) in known {
            // A full map costs a question to the agent per exec, not a wrong answer.
            let _ = self.interpreters.insert(hash, interpreter, 0);
        }
    }

    /// Names the thread groups that the task iterator shall take in, calls it, and forgets them.
    pub(crate) fn adopt<E>(
        &mut self,
        groups: &[(u32, CellKey)],
        iterate: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        for (tgid, key) in groups {
            // The caller hands over no more than fit.
            let _ = self.adopt.insert(tgid, key, 0);
        }
        let result = iterate();
        for (tgid, _) in groups {
            let _ = self.adopt.remove(tgid);
        }
        result
    }

    /// Whether the kernel lets this process read and write maps.
    pub(crate) fn is_usable(&mut self) -> bool {
        // No thread group has this number, so that the iterator finds nothing there.
        const NOBODY: u32 = 0;
        let key = CellKey {
            cgroup: 0,
            inode: 0,
            dev: 0,
            machine: 0,
            mode: 0,
            ident: 0,
        };
        self.stats().is_ok()
            && self.adopt.insert(NOBODY, key, 0).is_ok()
            && self.adopt.remove(&NOBODY).is_ok()
    }

    /// The programs' statistics.
    pub(crate) fn stats(&self) -> Result<Stats, String> {
        stats::read_all(&self.stats)
    }
}

fn file_key((inode, dev): (u64, u32)) -> FileKey {
    FileKey {
        inode,
        dev,
        _pad: 0,
    }
}

fn foreign_reading(cell: &ForeignCell, clock: Clock) -> Reading {
    Reading {
        count: cell.count,
        cpu_ns: cell.cpu_ns,
        processes: cell.processes,
        last: if cell.processes > 0 {
            clock.now()
        } else {
            clock.wall(cell.last_ns)
        },
    }
}

fn take<M: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, MapsError> {
    let map = ebpf
        .take_map(name)
        .ok_or_else(|| MapsError::new(name, "the object has none"))?;
    M::try_from(map).map_err(|error| MapsError::new(name, error))
}
