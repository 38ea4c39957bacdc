//! Which exec of an emulator has which guest: nothing is looked at here, so that every order of what
//! is told and what is found can be tried.
//!
//! A process may execute the next file at any moment (BuildKit's emulator does so at once), and a look
//! may show that exec's guest before its record is taken. So whatever was found belongs to the last
//! exec before the moment of the look, by the kernel's clock, whichever exec was the reason to look; and
//! an exec that is told later than it was seen is not looked into again.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use archtrace_ebpf::abi::CellKey;

use crate::enrich::look::{Mapped, MappedGuest};

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
/// Processes that are looked into at a time, and those that are remembered.
const MAX_LOOKS: usize = 1024;
/// What is remembered of one process.
const MAX_SEEN: usize = 8;

/// An exec of an emulator, whose process is looked into.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) pid: u32,
    /// When the kernel saw the exec, in nanoseconds of its monotonic clock; `None` if it is not to be
    /// counted, because it was before anybody watched for it.
    pub(crate) exec_ns: Option<u64>,
    /// The counter of the emulator that counted the exec; `None` if that counted as native.
    pub(crate) from: Option<CellKey>,
    pub(crate) cgroup: u64,
    /// The emulator, as its process calls it.
    pub(crate) emulator: PathBuf,
    pub(crate) comm: String,
    pub(crate) time: SystemTime,
}

/// Which look an answer is about: process and number.
pub(crate) type Id = (u32, u64);

/// What became of an exec that had a guest.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) look: Look,
    /// `None` if the process was gone before its guest could be seen: the exec stays with the emulator.
    pub(crate) guest: Option<MappedGuest>,
    /// Whether the process still runs it, as far as is known.
    pub(crate) current: bool,
}

/// What follows from an exec that is told.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It is looked into.
    Open,
    /// What came of it was seen before it was told, and may be settled already.
    Seen(Option<Settled>),
    /// With as many as this nobody can keep up: it is settled without a look.
    TooMany(Settled),
}

/// What is known of execs of emulators and their guests.
#[derive(Default)]
pub(crate) struct Book {
    open: BTreeMap<Id, Open>,
    due: BTreeSet<(Instant, Id)>,
    /// How many looks there have been.
    number: u64,
    /// What the last looks at each process showed, in their order.
    seen: HashMap<u32, VecDeque<Seen>>,
    /// Of the execs that the kernel counted for each emulator: those that are looked into, those that count
    /// for their guest, and those that had none.
    elsewhere: HashMap<CellKey, u64>,
}

struct Open {
    look: Look,
    started: Instant,
    attempt: usize,
}

struct Seen {
    /// When, by the kernel's clock.
    at: u64,
    guest: Option<MappedGuest>,
    /// Whether that is settled for an exec that counts.
    counted: bool,
}

impl Look {
    fn since(&self) -> u64 {
        self.exec_ns.unwrap_or(0)
    }
}

impl Book {
    /// Whether a process is being looked into.
    pub(crate) fn looks_into(&self, pid: u32) -> bool {
        self.of(pid).next().is_some()
    }

    /// When the next process is to be looked into.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// One whose turn it is.
    pub(crate) fn take_due(&mut self) -> Option<Id> {
        while let Some((due, id)) = self.due.first().copied()
            && due <= Instant::now()
        {
            self.due.pop_first();
            if self.open.contains_key(&id) {
                return Some(id);
            }
        }
        None
    }

    /// Execs that the kernel counted for an emulator and that are not to be told as its own.
    pub(crate) fn elsewhere(&self, key: &CellKey) -> u64 {
        self.elsewhere.get(key).copied().unwrap_or(0)
    }

    /// A counter is given up.
    pub(crate) fn forget(&mut self, key: &CellKey) {
        self.elsewhere.remove(key);
    }

    /// An exec is to be looked into.
    pub(crate) fn begin(&mut self, look: Look) -> Begun {
        if let Some(from) = look.from {
            *self.elsewhere.entry(from).or_default() += 1;
        }
        if let Some(exec_ns) = look.exec_ns
            && let Some(seen) = self.seen.get_mut(&look.pid)
            && let Some(seen) = seen.iter_mut().find(|seen| exec_ns <= seen.at)
        {
            if std::mem::replace(&mut seen.counted, true) {
                return Begun::Seen(None);
            }
            let guest = seen.guest.clone();
            let current = !self.looks_into(look.pid);
            return Begun::Seen(Some(self.settle(look, guest, current)));
        }
        if self.open.len() >= MAX_LOOKS {
            return Begun::TooMany(self.settle(look, None, false));
        }
        self.number += 1;
        let open = Open {
            look,
            started: Instant::now(),
            attempt: 0,
        };
        self.schedule((open.look.pid, self.number), open);
        Begun::Open
    }

    /// What a look showed, at the time `at` of the kernel's clock.
    pub(crate) fn answer(&mut self, id: Id, mapped: Mapped, at: u64) -> Option<Settled> {
        let mut asked = self.open.remove(&id)?;
        match mapped {
            Mapped::Guest(guest) => self.see(id, asked, Some(guest), at),
            Mapped::Gone => self.see(id, asked, None, at),
            Mapped::Replaced => None,
            Mapped::NoGuest => {
                asked.attempt += 1;
                if asked.attempt < LOOKS.len() && !self.is_over(&asked.look) {
                    self.schedule(id, asked);
                }
                None
            }
        }
    }

    /// It could not be looked.
    pub(crate) fn abandon(&mut self, id: Id) -> Option<Settled> {
        let Open { look, .. } = self.open.remove(&id)?;
        (!self.is_over(&look)).then(|| self.settle(look, None, false))
    }

    fn see(&mut self, id: Id, asked: Open, guest: Option<MappedGuest>, at: u64) -> Option<Settled> {
        let at = at.max(asked.look.since());
        // Those before the one that was seen are over, and what they had nobody saw.
        let (mut of, mut latest) = (id, asked);
        let over: Vec<Id> = self
            .of(id.0)
            .filter(|(_, open)| open.look.since() <= at)
            .map(|(id, _)| *id)
            .collect();
        for other in over {
            if let Some(open) = self.open.remove(&other)
                && (open.look.since(), other) > (latest.look.since(), of)
            {
                (of, latest) = (other, open);
            }
        }
        let Open { look, attempt, .. } = latest;
        let had_none = guest.is_none() && attempt >= DECIDED;
        let counted = look.exec_ns.is_some() && !had_none;
        // Where nothing was seen and nothing counts, whoever comes later sees the same.
        if counted || guest.is_some() {
            let guest = guest.clone();
            self.remember(look.pid, Seen { at, guest, counted });
        }
        let current = !self.looks_into(look.pid);
        (!had_none).then(|| self.settle(look, guest, current))
    }

    fn settle(&mut self, look: Look, guest: Option<MappedGuest>, current: bool) -> Settled {
        if guest.is_none()
            && let Some(from) = look.from
            && let Some(elsewhere) = self.elsewhere.get_mut(&from)
        {
            *elsewhere = elsewhere.saturating_sub(1);
        }
        Settled {
            look,
            guest,
            current,
        }
    }

    /// Whether the process is known to have executed something since.
    fn is_over(&self, look: &Look) -> bool {
        self.of(look.pid)
            .any(|(_, other)| other.look.since() > look.since())
    }

    fn of(&self, pid: u32) -> impl Iterator<Item = (&Id, &Open)> {
        self.open.range((pid, 0)..=(pid, u64::MAX))
    }

    fn schedule(&mut self, id: Id, open: Open) {
        let due = open.started + LOOKS[open.attempt.min(LOOKS.len() - 1)];
        self.due.insert((due, id));
        self.open.insert(id, open);
    }

    /// What was seen longest ago is forgotten first: a record is late by the time that others take.
    fn remember(&mut self, pid: u32, seen: Seen) {
        let of_pid = self.seen.entry(pid).or_default();
        if of_pid.len() >= MAX_SEEN {
            of_pid.pop_front();
        }
        of_pid.push_back(seen);
        if self.seen.len() > MAX_LOOKS {
            let last = |seen: &VecDeque<Seen>| seen.back().map(|seen| seen.at);
            let oldest = self.seen.iter().min_by_key(|(_, seen)| last(seen));
            if let Some(pid) = oldest.map(|(pid, _)| *pid) {
                self.seen.remove(&pid);
            }
        }
    }
}

#[cfg(test)]
mod tests;
