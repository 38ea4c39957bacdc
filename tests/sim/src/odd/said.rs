//! What odd agents say.

use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Cause, Event, EventKind, Fact, FactKey, Mode};
use archtrace_facts::report::{StateUpdate, UpdateKind};

/// The event of this sequence: the same each time it is sent.
pub(super) fn event(arch: Arch, begun: SystemTime, sequence: u64) -> Event {
    Event {
        time: begun + Duration::from_millis(sequence),
        kind: EventKind::FailedExec,
        pid: 1000,
        comm: "sh".to_owned(),
        key: FactKey {
            cgroup: "/system.slice/ssh.service".to_owned(),
            binary: "/usr/bin/tool".to_owned(),
            path_resolved: true,
            arch,
            mode: Mode::Failed,
            emulator: None,
            via: None,
            cause: Some(Cause::Other),
        },
        // ENOEXEC
        errno: 8,
        count: sequence,
        instruction: None,
    }
}

/// An update after which the collector holds `all`.
pub(super) fn update(
    epoch: u64,
    kind: UpdateKind,
    base_revision: u64,
    revision: u64,
    upserts: Vec<Fact>,
    all: &[Fact],
) -> StateUpdate {
    StateUpdate {
        kind,
        epoch,
        base_revision,
        revision,
        upserts,
        removed: Vec::new(),
        owners: Vec::new(),
        images: Vec::new(),
        digest: Some(all.iter().map(Digest::of_fact).sum()),
    }
}
