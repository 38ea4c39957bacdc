//! Emulators that somebody started by themselves (`qemu-aarch64 ./x`), not through `binfmt_misc`.
//!
//! For the kernel such an exec is one of a native program. Files that look like emulators are made
//! known to the programs; from then on each exec of one is told, and the process is looked into until
//! it has mapped its guest. The guest then gets the task's CPU time from its start on, and the exec.
//!
//! Execs of emulators are counted in the kernel, like all others. What this side adds is only for
//! which guest they were: those whose process was gone before that could be seen stay with the
//! emulator, as a guest of unknown architecture.

mod book;

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use archtrace_ebpf::abi::{CellKey, Record, ident, mode};
use archtrace_facts::aggregate::Reading;
use archtrace_facts::arch::Arch;
use archtrace_facts::emulator::is_buildkit;
use archtrace_facts::fact::{Event, EventKind, FactKey, Mode, Stage, Via};
use archtrace_facts::text::escape;

use self::book::{Begun, Book, Settled};
pub(super) use self::book::{Id, Look};
use super::Watch;
use super::looks::Scan;
use crate::enrich::clock::Clock;
use crate::enrich::look::{Mapped, MappedGuest};
use crate::enrich::path::Name;
use crate::source::interpreters::ident_bits;

/// Least time between two events of one guest.
const EVENT_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of emulators that were started directly.
#[derive(Default)]
pub(super) struct Direct {
    book: Book,
    guests: HashMap<CellKey, Count>,
}

/// Execs that this side counts for a guest.
struct Count {
    execs: u64,
    told: Option<Instant>,
}

impl Direct {
    /// Whether a process is being looked into.
    pub(super) fn looks_into(&self, pid: u32) -> bool {
        self.book.looks_into(pid)
    }

    /// When the next process is to be looked into.
    pub(super) fn next(&self) -> Option<Instant> {
        self.book.next()
    }

    /// What the kernel counted, less what counts elsewhere or is not decided, plus what this side
    /// counts.
    pub(super) fn correct(&self, key: &CellKey, mut reading: Reading) -> Reading {
        reading.count = reading.count.saturating_sub(self.book.elsewhere(key));
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
        self.book.forget(key);
        self.guests.remove(key);
    }
}

impl Watch {
    /// An emulator was started that is known as one.
    pub(super) fn take_direct(&mut self, record: &Record, name: Name, clock: Clock) {
        self.start_look(Look {
            pid: record.pid,
            exec_ns: Some(record.time_ns),
            from: Some(record.key),
            cgroup: record.key.cgroup,
            emulator: name.path,
            comm: escape(record.comm()),
            time: clock.wall(record.time_ns),
        });
    }

    /// A file turned out to be an emulator, while a process executes it.
    pub(super) fn look_into(&mut self, scan: &Scan) {
        let cgroup = self.cgroups.of(scan.pid).unwrap_or_default().0;
        self.start_look(Look {
            pid: scan.pid,
            exec_ns: scan.exec_ns,
            from: None,
            cgroup,
            emulator: scan.path.clone(),
            comm: String::new(),
            time: SystemTime::now(),
        });
    }

    fn start_look(&mut self, look: Look) {
        match self.direct.book.begin(look) {
            Begun::Open => {}
            Begun::Seen(settled) => self.take_settled(settled),
            Begun::TooMany(settled) => {
                self.losses.add(Stage::Inspection, 1);
                self.take_settled(Some(settled));
            }
        }
    }

    /// Looks into the processes whose turn it is.
    pub(super) fn look_at_due(&mut self) {
        while let Some(id) = self.direct.book.take_due() {
            self.ask_mapped(id);
        }
    }

    /// What a process has mapped, and when it was looked; `None` if it could not be.
    pub(super) fn take_mapped(&mut self, id: Id, looked: Option<(Mapped, u64)>) {
        let settled = match looked {
            Some((mapped, at)) => self.direct.book.answer(id, mapped, at),
            None => self.direct.book.abandon(id),
        };
        self.take_settled(settled);
    }

    fn take_settled(&mut self, settled: Option<Settled>) {
        let Some(Settled {
            look,
            guest,
            current,
        }) = settled
        else {
            return;
        };
        match guest {
            Some(guest) => self.found(&look, &guest, current),
            None => self.give_up(&look),
        }
    }

    /// The process of an emulator has mapped a guest, and runs it still if that is `current`.
    fn found(&mut self, look: &Look, guest: &MappedGuest, current: bool) {
        let cell = CellKey {
            cgroup: look.cgroup,
            inode: guest.inode,
            dev: guest.dev,
            machine: guest.ident.machine,
            mode: mode::EMULATED,
            ident: ident_bits(guest.ident) | ident::DIRECT,
        };
        let key = self.direct_key(look, Arch::of(guest.ident), &guest.path, &guest.emulator);
        let counts = look.exec_ns.is_some();
        let now = Instant::now();
        let count = self.direct.guests.entry(cell).or_insert(Count {
            execs: 0,
            told: None,
        });
        count.execs += u64::from(counts);
        let due = count
            .told
            .is_none_or(|told| now.duration_since(told) >= EVENT_INTERVAL);
        let execs = count.execs;
        if due {
            count.told = Some(now);
        }
        self.name(cell, key.clone(), look.time);
        if due && counts {
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
        if current {
            self.adopting.push((look.pid, cell));
            self.adopt();
        }
        self.read_counter(cell);
    }

    /// The process was gone before its guest could be seen: the exec stays with the emulator.
    fn give_up(&mut self, look: &Look) {
        let Some(from) = look.from else {
            return;
        };
        let key = self.direct_key(look, Arch::Unknown, &look.emulator, &look.emulator);
        self.name(from, key, look.time);
        self.read_counter(from);
    }

    fn direct_key(&mut self, look: &Look, arch: Arch, binary: &Path, emulator: &Path) -> FactKey {
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
