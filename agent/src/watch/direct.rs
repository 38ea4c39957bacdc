//! Emulators that somebody started by themselves (`qemu-aarch64 ./x`), not through `binfmt_misc`.
//!
//! For the kernel such an exec is one of a native program. Files that look like emulators are made
//! known to the programs; from then on each exec of one is told, and the process is looked into until
//! it has mapped its guest. The guest then gets the task's CPU time from its start on, and the exec.
//!
//! Execs of emulators are counted in the kernel, like all others. What this side adds is only for
//! which guest they were: those whose process was gone before that could be seen stay with the
//! emulator, as a guest of unknown architecture.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use archtrace_ebpf::abi::{CellKey, Record, ident, mode};
use archtrace_facts::aggregate::Reading;
use archtrace_facts::arch::Arch;
use archtrace_facts::emulator::is_buildkit;
use archtrace_facts::fact::{Event, EventKind, FactKey, Mode, Stage, Via};
use archtrace_facts::text::escape;

use super::Watch;
use super::looks::Scan;
use crate::enrich::clock::Clock;
use crate::enrich::look::{Mapped, MappedGuest};
use crate::enrich::path::Name;
use crate::source::interpreters::ident_bits;

/// When a process is looked into after its exec: an emulator maps its guest within milliseconds, and
/// one that has none after a second only prints its version.
const LOOKS: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_millis(2),
    Duration::from_millis(8),
    Duration::from_millis(30),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
];
/// A process that had no guest by then, and is gone later, had none at all.
const DECIDED: usize = 4;
/// Processes that are looked into at a time.
const MAX_LOOKS: usize = 1024;
/// Least time between two events of one guest.
const EVENT_INTERVAL: Duration = Duration::from_secs(1);

/// A process that is looked into.
pub(super) struct Look {
    pub(super) pid: u32,
    /// The counter of the emulator that counted the exec; `None` if that counted as native.
    from: Option<CellKey>,
    cgroup: u64,
    /// The emulator, as its process calls it.
    emulator: PathBuf,
    comm: String,
    started: Instant,
    time: SystemTime,
    /// Whether an exec is to be counted: not if the process is older than the agent.
    counts: bool,
    attempt: usize,
    number: u64,
}

/// What is known of emulators that were started directly.
#[derive(Default)]
pub(super) struct Direct {
    due: BTreeMap<(Instant, u64), Look>,
    /// How many looks there have been.
    number: u64,
    /// The last look at each process: with the next exec, earlier ones are over.
    latest: HashMap<u32, u64>,
    emulators: HashMap<CellKey, Execs>,
    guests: HashMap<CellKey, Count>,
}

/// Of the execs that the kernel counted for an emulator.
#[derive(Default)]
struct Execs {
    /// Those that are being looked into.
    pending: u64,
    /// Those that count for their guest.
    moved: u64,
    /// Those that had no guest.
    idle: u64,
}

/// Execs that this side counts for a guest.
struct Count {
    execs: u64,
    told: Option<Instant>,
}

impl Direct {
    /// Whether a process is being looked into.
    pub(super) fn looks_into(&self, pid: u32) -> bool {
        self.latest.contains_key(&pid)
    }

    /// When the next process is to be looked into.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.keys().next().map(|(due, _)| *due)
    }

    fn schedule(&mut self, look: Look) {
        let due = look.started + LOOKS[look.attempt.min(LOOKS.len() - 1)];
        self.due.insert((due, look.number), look);
    }

    fn take_due(&mut self) -> Option<Look> {
        let entry = self.due.first_entry()?;
        (entry.key().0 <= Instant::now()).then(|| entry.remove())
    }

    /// What the kernel counted, less what counts elsewhere or is not decided, plus what this side
    /// counts.
    pub(super) fn correct(&self, key: &CellKey, mut reading: Reading) -> Reading {
        if let Some(execs) = self.emulators.get(key) {
            let elsewhere = execs.pending + execs.moved + execs.idle;
            reading.count = reading.count.saturating_sub(elsewhere);
        }
        if let Some(count) = self.guests.get(key) {
            reading.count += count.execs;
        }
        reading
    }

    /// Guests of which this side counts execs.
    pub(super) fn guests(&self) -> impl Iterator<Item = CellKey> + '_ {
        self.guests.keys().copied()
    }

    /// A counter is given up.
    pub(super) fn forget(&mut self, key: &CellKey) {
        self.emulators.remove(key);
        self.guests.remove(key);
    }

    fn execs(&mut self, key: Option<CellKey>) -> Option<&mut Execs> {
        key.map(|key| self.emulators.entry(key).or_default())
    }
}

impl Watch {
    /// An emulator was started that is known as one.
    pub(super) fn take_direct(&mut self, record: &Record, name: Name, clock: Clock) {
        self.start_look(Look {
            pid: record.pid,
            from: Some(record.key),
            cgroup: record.key.cgroup,
            emulator: name.path,
            comm: escape(record.comm()),
            started: Instant::now(),
            time: clock.wall(record.time_ns),
            counts: true,
            attempt: 0,
            number: 0,
        });
    }

    /// A file turned out to be an emulator, while a process executes it.
    pub(super) fn look_into(&mut self, scan: &Scan) {
        let cgroup = self.cgroups.of(scan.pid).unwrap_or_default().0;
        self.start_look(Look {
            pid: scan.pid,
            from: None,
            cgroup,
            emulator: scan.path.clone(),
            comm: String::new(),
            started: Instant::now(),
            time: SystemTime::now(),
            counts: scan.new,
            attempt: 0,
            number: 0,
        });
    }

    fn start_look(&mut self, mut look: Look) {
        self.direct.number += 1;
        look.number = self.direct.number;
        self.direct.latest.insert(look.pid, look.number);
        if let Some(execs) = self.direct.execs(look.from) {
            execs.pending += 1;
        }
        if self.direct.due.len() < MAX_LOOKS {
            self.direct.schedule(look);
        } else {
            self.direct.latest.remove(&look.pid);
            self.losses.add(Stage::Inspection, 1);
            self.give_up(&look);
        }
    }

    /// Looks into the processes whose turn it is.
    pub(super) fn look_at_due(&mut self) {
        while let Some(look) = self.direct.take_due() {
            self.ask_mapped(look);
        }
    }

    pub(super) fn take_mapped(&mut self, mut look: Look, mapped: Mapped) {
        let is_latest = self.direct.latest.get(&look.pid) == Some(&look.number);
        if is_latest && matches!(mapped, Mapped::NoGuest) && look.attempt + 1 < LOOKS.len() {
            look.attempt += 1;
            self.direct.schedule(look);
            return;
        }
        if is_latest {
            self.direct.latest.remove(&look.pid);
        }
        match mapped {
            Mapped::Guest(guest) if is_latest => self.found(&look, &guest),
            Mapped::Gone if is_latest && look.attempt < DECIDED => self.give_up(&look),
            Mapped::Guest(_) | Mapped::NoGuest | Mapped::Replaced | Mapped::Gone => {
                if let Some(execs) = self.direct.execs(look.from) {
                    execs.pending = execs.pending.saturating_sub(1);
                    execs.idle += 1;
                }
            }
        }
    }

    /// The process of an emulator has mapped a guest.
    fn found(&mut self, look: &Look, guest: &MappedGuest) {
        let cell = CellKey {
            cgroup: look.cgroup,
            inode: guest.inode,
            dev: guest.dev,
            machine: guest.ident.machine,
            mode: mode::EMULATED,
            ident: ident_bits(guest.ident) | ident::DIRECT,
        };
        let key = self.direct_key(look, Arch::of(guest.ident), &guest.path, &guest.emulator);
        if let Some(execs) = self.direct.execs(look.from) {
            execs.pending = execs.pending.saturating_sub(1);
            execs.moved += 1;
        }
        let now = Instant::now();
        let count = self.direct.guests.entry(cell).or_insert(Count {
            execs: 0,
            told: None,
        });
        count.execs += u64::from(look.counts);
        let due = count
            .told
            .is_none_or(|told| now.duration_since(told) >= EVENT_INTERVAL);
        let execs = count.execs;
        if due {
            count.told = Some(now);
        }
        self.name(cell, key.clone(), look.time);
        if due && look.counts {
            self.outbox.lock().push_event(Event {
                time: look.time,
                kind: EventKind::EmulatedExec,
                pid: look.pid,
                comm: look.comm.clone(),
                key,
                errno: 0,
                count: execs,
                instruction: None,
            });
        }
        self.adopting.push((look.pid, cell));
        self.adopt();
        self.read_counter(cell);
    }

    /// The process was gone before its guest could be seen: the exec stays with the emulator.
    fn give_up(&mut self, look: &Look) {
        let Some(from) = look.from else {
            return;
        };
        if let Some(execs) = self.direct.execs(Some(from)) {
            execs.pending = execs.pending.saturating_sub(1);
        }
        let key = self.direct_key(look, Arch::Unknown, &look.emulator, &look.emulator);
        self.name(from, key, look.time);
        self.read_counter(from);
    }

    fn direct_key(
        &mut self,
        look: &Look,
        arch: Arch,
        binary: &std::path::Path,
        emulator: &std::path::Path,
    ) -> FactKey {
        let via = if is_buildkit(emulator.as_os_str().as_bytes()) {
            Via::Build
        } else {
            Via::Direct
        };
        FactKey {
            cgroup: self.cgroup_of(look.cgroup, look.pid),
            binary: escape(binary.as_os_str().as_bytes()),
            path_resolved: binary.is_absolute(),
            arch,
            mode: Mode::Emulated,
            emulator: Some(escape(emulator.as_os_str().as_bytes())),
            via: Some(via),
            cause: None,
        }
    }
}
