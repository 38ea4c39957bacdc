//! Reads files as a process sees them, without trusting that process.
//!
//! Every function here may take long: a file system may be slow, or hang. Only [`super::reader`]'s
//! threads call them.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use archtrace_facts::emulator::{self, Kind, Scanner};
use archtrace_facts::mounts;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};

/// What the kernel looks at (`BINPRM_BUF_SIZE`).
const HEAD: usize = 256;

/// A mount table longer than this is not read to its end: some ten thousand mounts.
const MAX_MOUNTINFO: u64 = 4 << 20;

/// What was found at a path.
pub(crate) struct Found {
    /// The file's first bytes, as many as were asked for at most.
    pub(crate) head: Vec<u8>,
    /// Inode number, as stat(2) tells it.
    pub(crate) inode: u64,
    /// Device, likewise.
    pub(crate) dev: u64,
    /// Its length in bytes, likewise.
    pub(crate) size: u64,
}

/// Reads the start of the regular file at `path` in the file system of process `pid`.
pub(crate) fn read_head(proc: &Path, pid: u32, path: &Path) -> Option<Found> {
    read_start(proc, pid, path, HEAD)
}

/// The same, as many bytes as asked for.
pub(crate) fn read_start(proc: &Path, pid: u32, path: &Path, len: usize) -> Option<Found> {
    read_regular(&open_in_root(proc, pid, path)?, len).map(|(found, _)| found)
}

/// The start of a file that a link of procfs itself leads to, such as `/proc/<pid>/exe`.
pub(crate) fn read_linked(path: &Path) -> Option<Found> {
    let file = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    read_regular(&file, HEAD).map(|(found, _)| found)
}

/// Whether the file that process `pid` executes, if that is still `inode`, or else the one at `path` in
/// its file system, looks like an emulator.
///
/// Takes its time: a node that builds programs makes new ones all day, and a guest must not spend a
/// CPU on looking through them.
pub(crate) fn emulator(proc: &Path, pid: u32, path: &Path, inode: u64) -> Option<Kind> {
    /// A fifth of one CPU at most.
    const REST: u32 = 4;
    const MAX_REST: Duration = Duration::from_millis(100);
    let start = Instant::now();
    let kind = scan(proc, pid, path, inode);
    std::thread::sleep((start.elapsed() * REST).min(MAX_REST));
    kind
}

fn scan(proc: &Path, pid: u32, path: &Path, inode: u64) -> Option<Kind> {
    let exe = proc.join(pid.to_string()).join("exe");
    let file = open(&exe, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .ok()
        .filter(|exe| fstat(exe).is_ok_and(|stat| stat.st_ino == inode))
        .or_else(|| open_in_root(proc, pid, path))?;
    let (found, mut file) = read_regular(&file, emulator::START_LEN)?;
    let mut scanner = Scanner::new();
    let mut chunk = vec![0; CHUNK];
    for range in emulator::ranges(&found.head) {
        file.seek(SeekFrom::Start(range.start)).ok()?;
        let mut part = (&mut file).take(range.end - range.start);
        loop {
            match part.read(&mut chunk).ok()? {
                0 => break,
                read => scanner.feed(&chunk[..read]),
            }
            if let Some(kind) = scanner.verdict() {
                return Some(kind);
            }
        }
    }
    None
}

/// Read at once when a file is looked through.
const CHUNK: usize = 256 * 1024;

/// Opens what is at `path` in the file system of process `pid`, only to look at it.
///
/// The path is resolved inside of that process's root, so that its links cannot lead out of it. A
/// path that leads over a file system that may hang is not followed.
fn open_in_root(proc: &Path, pid: u32, path: &Path) -> Option<OwnedFd> {
    let process = proc.join(pid.to_string());
    let mut mountinfo = Vec::new();
    File::open(process.join("mountinfo"))
        .and_then(|file| file.take(MAX_MOUNTINFO).read_to_end(&mut mountinfo))
        .ok()?;
    if mounts::on_the_way(&mountinfo, path.as_os_str().as_bytes())
        .iter()
        .any(mounts::Mount::may_hang)
    {
        return None;
    }
    let root = process.join("root");
    let root = open(&root, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(&root, path, how).ok()
}

/// Anything but a regular file is not opened, so that no FIFO blocks and no device is touched.
fn read_regular(file: &OwnedFd, len: usize) -> Option<(Found, File)> {
    let stat = fstat(file).ok()?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return None;
    }
    let mut head = Vec::new();
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .ok()?;
    (&mut file).take(len as u64).read_to_end(&mut head).ok()?;
    let found = Found {
        head,
        inode: stat.st_ino,
        dev: stat.st_dev,
        size: u64::try_from(stat.st_size).unwrap_or(0),
    };
    Some((found, file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

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
