//! Processes that are older than the agent.

use archtrace_ebpf::abi::{CellKey, mode};
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{FactKey, Mode, Stage, Via};
use archtrace_facts::node::Uncovered;
use archtrace_facts::sandbox::{self, Seen};
use archtrace_facts::text::escape;

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::SystemTime;

use super::Watch;
use super::looks::Scan;
use crate::source::interpreters::ident_bits;
use crate::source::maps::MAX_ADOPTED;
use crate::source::procs::{self, Old, OldGuest};
use crate::source::sensor::Sensor;
use crate::source::tasks;

/// Sandboxes that are listed; more than a node has pods.
const MAX_UNCOVERED: usize = 512;

impl Watch {
    /// Has every process looked at.
    pub(super) fn ask_all_old(&mut self) {
        if self.sensor.iterates {
            self.old = procs::all(&self.proc);
        }
        self.ask_some_old();
    }

    /// Keeps a few of these questions under way, so that others get their turn.
    pub(super) fn ask_some_old(&mut self) {
        while self.looks.pending() < 16
            && let Some(pid) = self.old.pop()
        {
            self.ask_old(pid);
        }
    }

    pub(super) fn take_old(&mut self, pid: u32, old: Old) {
        let found = self.cgroups.of(pid);
        if found.is_none() && !self.proc.join(pid.to_string()).exists() {
            // Gone since it was looked at: there is nothing to adopt, and nobody could say where it was.
            return;
        }
        let (cgroup, cgroup_path) = found.unwrap_or_default();
        self.ask_owner(&cgroup_path);
        self.see_sandbox(&old.comm, &old.exe, &cgroup_path);
        let Some(guest) = old.guest else {
            let scan = Scan {
                pid,
                file: old.exe_file,
                path: old.exe,
                exec_ns: None,
            };
            if !self.emulators.contains(&scan.file) {
                self.ask_scan(scan);
            } else if !self.direct.looks_into(pid) {
                self.look_into(&scan);
            }
            return;
        };
        let OldGuest {
            name,
            inode,
            dev,
            ident,
            start,
        } = guest;
        let rules = self.sensor.registry.rules();
        let emulator = rules
            .iter()
            .find(|rule| rule.claims(&start))
            .map_or(old.exe.as_os_str().as_bytes(), |rule| &rule.interpreter);
        let cell = CellKey {
            cgroup,
            inode,
            dev,
            machine: ident.machine,
            mode: mode::EMULATED,
            ident: ident_bits(ident),
        };
        let key = FactKey {
            cgroup: cgroup_path,
            binary: escape(name.path.as_os_str().as_bytes()),
            path_resolved: name.resolved,
            arch: Arch::of(ident),
            mode: Mode::Emulated,
            emulator: Some(escape(emulator)),
            via: Some(Via::BinfmtMisc),
            cause: None,
        };
        self.name(cell, key, SystemTime::now());
        self.adopting.push((pid, cell));
    }

    /// Has the tasks of the processes that were found count for their guests.
    pub(super) fn adopt(&mut self) {
        if self.adopting.is_empty() || !self.sensor.iterates {
            return;
        }
        let groups = std::mem::take(&mut self.adopting);
        for some in groups.chunks(MAX_ADOPTED) {
            let Sensor { maps, ebpf, .. } = &mut self.sensor;
            if let Err(error) = maps.adopt(some, || tasks::iterate(ebpf)) {
                tracing::warn!(error, "emulated processes were not taken in");
                self.losses.add(Stage::TaskMap, some.len() as u64);
            }
        }
        self.alive = true;
    }

    /// Remembers a sandbox whose processes run under another kernel.
    pub(super) fn see_sandbox(&mut self, comm: &[u8], exe: &Path, cgroup: &str) {
        let exe = exe.as_os_str().as_bytes();
        let Some(runtime) = sandbox::runtime_of(&Seen { comm, exe, cgroup }) else {
            return;
        };
        let mut contents = self.outbox.lock();
        let known = &mut contents.preflight.uncovered;
        if known.len() < MAX_UNCOVERED && known.iter().all(|other| other.cgroup != cgroup) {
            known.push(Uncovered {
                cgroup: cgroup.to_owned(),
                runtime: runtime.to_owned(),
            });
        }
    }

    /// Forgets the sandboxes whose cgroup is gone.
    pub(super) fn sweep_sandboxes(&mut self) {
        let cgroups = &self.cgroups;
        self.outbox
            .lock()
            .preflight
            .uncovered
            .retain(|sandbox| cgroups.exists(&sandbox.cgroup));
    }
}
