//! Records of execs: from the kernel side to facts and events.

use std::time::Instant;

use archtrace_ebpf::abi::{Record, mode};

use super::Watch;
use super::looks::Scan;
use crate::enrich::clock::Clock;
use crate::enrich::exec;
use crate::enrich::look::Guest;
use crate::enrich::path::{self, Name};

/// `errno(3)`.
const ENOENT: i32 = 2;
/// Files that cannot be executed because something else is not there, which are told at a time.
const MAX_NOT_FOUND: usize = 256;

impl Watch {
    pub(super) fn take_record(&mut self, record: Record, path: &[u8], clock: Clock) {
        if record.key.mode != mode::NATIVE {
            self.recorded = Some(Instant::now());
        }
        if record.key.mode == mode::INTERPRETED {
            // Asked what an interpreter is; the answer must not be older than the question.
            self.refresh_registry();
        }
        let name = path::resolve(&self.proc, record.pid, path::read(record.path_kind, path));
        if record.key.mode == mode::DIRECT {
            self.take_direct(&record, name, clock);
        } else if exec::needs_look(&record) {
            self.ask_record(record, name);
        } else {
            self.finish_record(&record, name, None);
        }
    }

    /// Tells what a record says, once its file was looked at where that is needed.
    pub(super) fn finish_record(&mut self, record: &Record, name: Name, looked: Option<&Guest>) {
        if exec::needs_look(record) && record.errno == ENOENT {
            if looked.is_none() {
                // A plain not-found, which every search along PATH makes.
                return;
            }
            if self.not_found.len() < MAX_NOT_FOUND {
                self.not_found.insert(record.key);
            }
        }
        let clock = Clock::look();
        let cgroup = self.cgroup_of(record.key.cgroup, record.pid);
        if record.key.mode == mode::NATIVE {
            self.see_native(record, &name, &cgroup);
        }
        let told = exec::tell(
            record,
            name,
            looked,
            cgroup,
            exec::Node {
                arch: self.node,
                runs_32bit: self.runs_32bit,
                rules: self.sensor.registry.rules(),
                clock,
            },
        );
        self.name(record.key, told.key, clock.wall(record.time_ns));
        if let Some(event) = told.event {
            self.outbox.lock().push_event(event);
        }
        if told.reads_scripts
            && let Some(name) = record.interpreter()
            && self.interpreters.learn_plain(self.sensor.hash_seed, name)
        {
            self.tell_interpreters();
        }
        // What is new is told with its count, not half a second later.
        self.read_counter(record.key);
    }

    /// A native binary is seen for the first time: it may be an emulator, or hide what it runs.
    fn see_native(&mut self, record: &Record, name: &Name, cgroup: &str) {
        self.see_sandbox(record.comm(), &name.path, cgroup);
        self.ask_scan(Scan {
            pid: record.pid,
            file: (record.key.inode, record.key.dev),
            path: name.path.clone(),
            exec_ns: Some(record.time_ns),
        });
    }
}
