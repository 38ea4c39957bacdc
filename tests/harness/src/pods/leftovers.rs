//! What containerd and its shims leave behind, ended and removed.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Ends the shims that were started for the containerd at `socket`.
pub(super) fn end_shims(socket: &Path) {
    let socket = socket.as_os_str().as_encoded_bytes();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let mut arguments = arguments.split(|&byte| byte == 0);
        let shim = arguments
            .next()
            .is_some_and(|program| program.ends_with(b"containerd-shim-runc-v2"));
        if shim && arguments.any(|argument| argument == socket) {
            // Fails only if it has ended meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Unmounts everything below `dir`.
pub(super) fn unmount_below(dir: &Path) {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = |path: &PathBuf| path.starts_with(dir) && path != dir;
    let mounts: Vec<_> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(PathBuf::from)
        .filter(below)
        .collect();
    // What was mounted last may be on what was mounted before.
    for path in mounts.iter().rev() {
        if let Err(error) = umount2(path, MntFlags::MNT_DETACH) {
            eprintln!("could not unmount {}: {error}", path.display());
        }
    }
}

/// Removes `cgroup`, and what is above it up to and including `kubepods`, in every hierarchy, as far as
/// nothing else is in there.
pub(super) fn remove_cgroup(cgroup: &str) {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let hierarchies = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let path = fields.next()?;
        fields.next()?.starts_with("cgroup").then_some(path)
    });
    for hierarchy in hierarchies {
        let mut dir = PathBuf::from(hierarchy).join(cgroup.trim_start_matches('/'));
        // Fails where it is not there, and where others have theirs.
        while dir != Path::new(hierarchy) {
            if dir.is_dir() && fs::remove_dir(&dir).is_err() {
                break;
            }
            if !dir.pop() {
                break;
            }
        }
    }
}
