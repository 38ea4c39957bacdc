//! Reads the first bytes of a file as a process sees it, without trusting that process.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};

/// What the kernel looks at (`BINPRM_BUF_SIZE`).
const HEAD: u64 = 256;

/// What was found at a path.
pub(crate) struct Found {
    /// Up to 256 bytes.
    pub(crate) head: Vec<u8>,
    /// Inode number, as stat(2) tells it.
    pub(crate) inode: u64,
    /// Device, likewise.
    pub(crate) dev: u64,
}

/// Reads the start of the regular file at `path` in the file system of process `pid`.
///
/// The path is resolved inside of that process's root, so that its links cannot lead out of it;
/// anything but a regular file is not opened, so that no FIFO blocks and no device is touched.
pub(crate) fn read_head(proc: &Path, pid: u32, path: &Path) -> Option<Found> {
    let root = proc.join(pid.to_string()).join("root");
    let root = open(&root, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = openat2(&root, path, how).ok()?;
    read_regular(&file)
}

/// The same for a file that a link of procfs itself leads to, such as `/proc/<pid>/exe`.
pub(crate) fn read_linked(path: &PathBuf) -> Option<Found> {
    let file = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    read_regular(&file)
}

fn read_regular(file: &OwnedFd) -> Option<Found> {
    let stat = fstat(file).ok()?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return None;
    }
    let mut head = Vec::new();
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .and_then(|file: File| file.take(HEAD).read_to_end(&mut head))
        .ok()?;
    Some(Found {
        head,
        inode: stat.st_ino,
        dev: stat.st_dev,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), [7; 300]).expect("written");
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).expect("made");
        symlink("loop", at("loop")).expect("made");
        symlink(at("file"), at("link")).expect("made");
        let read = |path: &Path| {
            read_head(Path::new("/proc"), std::process::id(), path).map(|found| found.head.len())
        };
        assert_eq!(read(&at("file")), Some(256));
        assert_eq!(read(&at("link")), Some(256));
        for path in [
            at("fifo"),
            at("loop"),
            at("none"),
            dir.path().to_owned(),
            PathBuf::from("/dev/zero"),
        ] {
            assert_eq!(read(&path), None, "{}", path.display());
        }
        assert_eq!(
            read(Path::new("/proc/self/exe")),
            None,
            "a magic link leads out of the root"
        );
    }
}
