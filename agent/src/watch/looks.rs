//! Questions about processes and files, and what follows from the answers.
//!
//! Whatever reads other people's files is asked of a [`Reader`], so that the watching side never
//! waits for a file system.

use std::path::PathBuf;
use std::time::Duration;

use archtrace_ebpf::abi::{Record, Signal};
use archtrace_facts::emulator::Kind;
use archtrace_facts::fact::Stage;

use super::Watch;
use super::direct::Id;
use crate::enrich::files;
use crate::enrich::look::{self, Dying, Guest, Mapped, Place};
use crate::enrich::path::Name;
use crate::enrich::reader::Reader;
use crate::source::procs::{self, Old};

/// A look at a file's start, or at a process, is a matter of microseconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// Looking through a file may mean to read 16 MiB from a slow disk.
const SCAN_PATIENCE: Duration = Duration::from_secs(10);

/// What a question was about.
pub(super) enum Ticket {
    /// The file of a record that the kernel side did not see.
    Record(Box<Record>, Name),
    /// The instruction that a process died of, and its executable.
    Death(Box<Signal>, Name),
    /// A process that is older than the agent.
    Old(u32),
    /// What an emulator has mapped.
    Mapped(Id),
}

/// What was found.
pub(super) enum Answer {
    Guest(Option<Guest>),
    Place(Place),
    Old(Option<Old>),
    Mapped(Mapped, u64),
}

/// A file that is looked through for the marks of an emulator.
pub(super) struct Scan {
    /// A process that executes it.
    pub(super) pid: u32,
    /// Its inode and device.
    pub(super) file: (u64, u32),
    /// What the process calls it.
    pub(super) path: PathBuf,
    /// When the process executed it, if it did just now and was counted as native; in nanoseconds of the
    /// kernel's monotonic clock.
    pub(super) exec_ns: Option<u64>,
}

pub(super) type Looks = Reader<Ticket, Answer>;
pub(super) type Scans = Reader<Scan, Option<Kind>>;

pub(super) fn looks() -> Looks {
    Reader::new("look", PATIENCE)
}

pub(super) fn scans() -> Scans {
    Reader::new("scan", SCAN_PATIENCE)
}

impl Watch {
    /// Has the file of a record looked at.
    pub(super) fn ask_record(&mut self, record: Record, name: Name) {
        let (proc, node, pid, asked) = (self.proc.clone(), self.node, record.pid, name.clone());
        let procs = self.cgroups.procs_file(record.key.cgroup, record.pid);
        let ticket = Ticket::Record(Box::new(record), name);
        self.ask(ticket, move || {
            let guest = look::guest(&proc, node, pid, procs.as_deref(), asked);
            Answer::Guest(guest)
        });
    }

    /// Has the place of an instruction looked up.
    pub(super) fn ask_death(&mut self, signal: Signal, name: Name) {
        let proc = self.proc.clone();
        let dying = Dying {
            pid: signal.pid,
            procs: self.cgroups.procs_file(signal.key.cgroup, signal.pid),
            binary: name.path.clone(),
            address: signal.address,
            code: signal.start_code..signal.end_code,
        };
        let ticket = Ticket::Death(Box::new(signal), name);
        self.ask(ticket, move || Answer::Place(look::place(&proc, &dying)));
    }

    /// Has a death told after what was asked before it.
    pub(super) fn ask_after_others(&mut self, signal: Signal, name: Name) {
        let ticket = Ticket::Death(Box::new(signal), name);
        self.ask(ticket, || Answer::Place(Place::default()));
    }

    /// Has a process looked at that is older than the agent.
    pub(super) fn ask_old(&mut self, pid: u32) {
        let (proc, node) = (self.proc.clone(), self.node);
        self.ask(Ticket::Old(pid), move || {
            Answer::Old(procs::look_at(&proc, node, pid))
        });
    }

    /// Has looked at what an emulator has mapped.
    pub(super) fn ask_mapped(&mut self, id: Id) {
        let (proc, node, (pid, _)) = (self.proc.clone(), self.node, id);
        self.ask(Ticket::Mapped(id), move || {
            let (mapped, at) = look::mapped(&proc, node, pid);
            Answer::Mapped(mapped, at)
        });
    }

    fn ask(&mut self, ticket: Ticket, job: impl FnOnce() -> Answer + Send + 'static) {
        if let Some(ticket) = self.looks.ask(ticket, job) {
            self.take_answer(ticket, None);
        }
    }

    /// Goes on where a question was asked; without an answer, as well as that is possible.
    pub(super) fn take_answer(&mut self, ticket: Ticket, answer: Option<Answer>) {
        if answer.is_none() {
            self.losses.add(Stage::Inspection, 1);
        }
        match (ticket, answer) {
            (Ticket::Record(record, name), Some(Answer::Guest(guest))) => {
                self.finish_record(&record, name, guest.as_ref());
            }
            (Ticket::Record(record, name), _) => self.finish_record(&record, name, None),
            (Ticket::Death(signal, name), Some(Answer::Place(place))) => {
                self.finish_death(&signal, &name, place);
            }
            (Ticket::Death(signal, name), _) => {
                self.finish_death(&signal, &name, Place::default());
            }
            (Ticket::Old(pid), Some(Answer::Old(Some(old)))) => self.take_old(pid, old),
            (Ticket::Old(_), _) => {}
            (Ticket::Mapped(id), Some(Answer::Mapped(mapped, at))) => {
                self.take_mapped(id, Some((mapped, at)));
            }
            (Ticket::Mapped(id), _) => self.take_mapped(id, None),
        }
        if self.looks.pending() == 0 {
            self.adopt();
        }
        self.outbox.notify();
    }

    /// Has the executable of a process looked through, unless that was done before.
    pub(super) fn ask_scan(&mut self, scan: Scan) {
        /// Files that are remembered: more than a node's images hold of programs.
        const MAX_SCANNED: usize = 16_384;
        /// Execs of one file that wait for what it is: more than start while it is looked through.
        const MAX_EXECS: usize = 64;
        if let Some(others) = self.scanning.get_mut(&scan.file) {
            if scan.exec_ns.is_some() && others.len() < MAX_EXECS {
                others.push(scan);
            }
            return;
        }
        if self.scanned.len() >= MAX_SCANNED {
            self.scanned.clear();
        }
        if !self.scanned.insert(scan.file) {
            return;
        }
        self.scanning.insert(scan.file, Vec::new());
        let (proc, pid, path) = (self.proc.clone(), scan.pid, scan.path.clone());
        let inode = scan.file.0;
        let job = move || files::emulator(&proc, pid, &path, inode);
        if let Some(scan) = self.scans.ask(scan, job) {
            self.take_scan(&scan, None);
        }
    }

    /// What a file was found to be; `None` if it did not come to that.
    pub(super) fn take_scan(&mut self, scan: &Scan, answer: Option<Option<Kind>>) {
        let others = self.scanning.remove(&scan.file).unwrap_or_default();
        match answer {
            None => {
                self.scanned.remove(&scan.file);
                self.losses.add(Stage::Inspection, 1);
            }
            Some(None) => {}
            Some(Some(kind)) => {
                tracing::info!(path = %scan.path.display(), kind = kind.as_str(), "an emulator");
                for scan in std::iter::once(scan).chain(&others) {
                    self.look_into(scan);
                }
                match self.sensor.maps.add_emulator(scan.file) {
                    Ok(()) => {
                        self.emulators.insert(scan.file);
                        // Others may execute it too, and be older than what was just made known.
                        self.ask_all_old();
                    }
                    Err(error) => {
                        tracing::warn!(%error, "further execs of this emulator are not looked into");
                        self.losses.add(Stage::KernelMap, 1);
                    }
                }
            }
        }
    }
}
