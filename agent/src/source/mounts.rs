//! Kernel file systems that the agent needs and may find unmounted.
//!
//! tracefs is only needed by the tracepoints of tier 3, and `binfmt_misc` is mounted late or never
//! on many nodes. Where the agent may (CAP_SYS_ADMIN; not in the chart's container, which mounts
//! them itself), it mounts them in a mount namespace of its own, so that the node never sees it
//! and nothing is left behind.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

const FILE_SYSTEMS: [(&str, &str); 2] = [
    ("tracefs", "/sys/kernel/tracing"),
    ("binfmt_misc", "/proc/sys/fs/binfmt_misc"),
];

/// Mounts what is missing, privately. Must be called before any thread is started: a mount
/// namespace belongs to a thread. What cannot be mounted is found missing later, by who needs it.
pub(crate) fn prepare() {
    let missing: Vec<_> = FILE_SYSTEMS
        .into_iter()
        // Mounting would load the module; that is not for a guest to do.
        .filter(|(name, path)| is_known(name) && !has_content(path))
        .collect();
    if missing.is_empty() || unshare(CloneFlags::CLONE_NEWNS).is_err() {
        return;
    }
    let none: Option<&str> = None;
    // What the node mounts later still comes in, and nothing goes out.
    if mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none).is_err() {
        return;
    }
    for (name, path) in missing {
        let _ = mount(Some(name), path, Some(name), MsFlags::empty(), none);
    }
}

/// Whether the kernel has this file system now (proc(5), /proc/filesystems).
pub(crate) fn is_known(name: &str) -> bool {
    std::fs::read_to_string("/proc/filesystems").is_ok_and(|known| {
        known
            .lines()
            .any(|line| line.split_whitespace().next_back() == Some(name))
    })
}

fn has_content(path: &str) -> bool {
    Path::new(path)
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some())
}
