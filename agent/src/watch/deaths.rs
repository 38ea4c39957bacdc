//! Deaths by SIGILL.

use std::os::unix::ffi::OsStrExt as _;

use archtrace_ebpf::abi::{Signal, mode};
use archtrace_facts::arch::Arch;
use archtrace_facts::elf::Ident;
use archtrace_facts::fact::{Event, EventKind, FactKey, IllegalInstruction, Mode, Origin};
use archtrace_facts::text::escape;

use super::Watch;
use crate::enrich::clock::Clock;
use crate::enrich::exec::ident_of;
use crate::enrich::look::Place;
use crate::enrich::path::{self, Name};

impl Watch {
    pub(super) fn take_signal(&mut self, signal: &Signal, path: &[u8]) {
        let name = path::read(signal.path_kind, path);
        let emulated = signal.key.mode != mode::ILLEGAL;
        if emulated && self.outbox.lock().table.name_of(signal.key).is_none() {
            // The file of its exec is being looked at.
            self.ask_after_others(*signal, name);
        } else if emulated || origin(signal) != Origin::Cpu {
            self.finish_death(signal, &name, Place::default());
        } else {
            self.ask_death(*signal, name);
        }
    }

    /// `name` is the executable; `place` is where the instruction was found to be.
    pub(super) fn finish_death(&mut self, signal: &Signal, name: &Name, place: Place) {
        let guest = if signal.key.mode == mode::ILLEGAL {
            None
        } else {
            Some(self.guest_of(signal, name))
        };
        let emulated = guest.is_some();
        let key = guest.unwrap_or_else(|| self.native_key(signal, name, place.ident));
        let origin = origin(signal);
        // What the kernel tells of an emulator's death are the emulator's own bytes.
        let known = origin == Origin::Cpu && !emulated;
        let bytes = if known {
            signal.code_bytes().to_vec()
        } else {
            Vec::new()
        };
        let instruction = IllegalInstruction {
            code: signal.code,
            sender: (origin == Origin::Process && signal.sender != 0).then_some(signal.sender),
            address: if known { signal.address } else { 0 },
            bytes,
            module: place.module.map(|module| escape(&module)),
            offset: place.offset,
            ..IllegalInstruction::unread(origin)
        }
        .decoded(key.arch, &self.features);
        let event = Event {
            time: Clock::look().wall(signal.time_ns),
            kind: EventKind::IllegalInstruction,
            pid: signal.pid,
            comm: escape(signal.comm()),
            key,
            errno: 0,
            count: signal.count,
            instruction: Some(instruction),
        };
        self.outbox.lock().push_event(event);
    }

    /// The guest that an emulated process ran; its name may be lost, or not told yet.
    fn guest_of(&mut self, signal: &Signal, exe: &Name) -> FactKey {
        let known = self.outbox.lock().table.name_of(signal.key).cloned();
        // The key of an emulator that was started directly is of the emulator's own file.
        let ident = ident_of(&signal.key).filter(|_| signal.key.mode == mode::EMULATED);
        known.unwrap_or_else(|| FactKey {
            cgroup: self.cgroup_of(signal.key.cgroup, signal.pid),
            binary: String::new(),
            path_resolved: false,
            arch: ident.map_or(Arch::Unknown, Arch::of),
            mode: Mode::Emulated,
            emulator: Some(escape(exe.path.as_os_str().as_bytes())),
            via: None,
            cause: None,
        })
    }

    fn native_key(&mut self, signal: &Signal, name: &Name, ident: Option<Ident>) -> FactKey {
        let arch = ident.map_or(self.node, Arch::of);
        FactKey {
            cgroup: self.cgroup_of(signal.key.cgroup, signal.pid),
            binary: escape(name.path.as_os_str().as_bytes()),
            path_resolved: name.resolved,
            arch,
            mode: if arch == self.node {
                Mode::Native
            } else {
                Mode::Compat
            },
            emulator: None,
            via: None,
            cause: None,
        }
    }
}

/// Who raised it. Only for the kernel is `si_code` above 0 (sigaction(2)).
fn origin(signal: &Signal) -> Origin {
    if signal.code > 0 {
        Origin::Cpu
    } else if signal.sender == signal.own {
        Origin::Itself
    } else {
        Origin::Process
    }
}
