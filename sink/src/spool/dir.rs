//! The directory of a spool: opened without following links, and by one process at a time.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{self, AtFlags, FlockOperation, Mode, OFlags};

/// A segment is never larger: what is, was not written by an agent.
const MAX_FILE: u64 = 4 << 20;
const SUFFIX: &str = ".spool";

/// The directory. Whoever has it has the lock.
#[derive(Debug)]
pub(super) struct Dir {
    /// Shared with threads that sync.
    dir: Arc<OwnedFd>,
    _lock: OwnedFd,
}

impl Dir {
    /// Opens `spool` in the state directory, makes both if they are not there, and takes the lock.
    pub(super) fn open(state: &Path) -> io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(state)?;
        let directory = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let state = fs::open(state, directory, Mode::empty())?;
        match fs::mkdirat(&state, "spool", Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let dir = fs::openat(&state, "spool", directory | OFlags::NOFOLLOW, Mode::empty())?;
        let stat = fs::fstat(&dir)?;
        // Who we are, without a call that no library here has.
        let me = std::fs::metadata("/proc/self").map(|me| me.uid());
        if me.is_ok_and(|me| me != stat.st_uid) {
            return Err(io::Error::other("the directory spool is somebody else's"));
        }
        if Mode::from_raw_mode(stat.st_mode) != Mode::RWXU {
            fs::fchmod(&dir, Mode::RWXU)?;
        }
        let lock = create(&dir, "lock", OFlags::empty())?;
        fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(
            |error| match error {
                rustix::io::Errno::WOULDBLOCK => {
                    io::Error::new(io::ErrorKind::ResourceBusy, "another agent uses it")
                }
                error => error.into(),
            },
        )?;
        Ok(Self {
            dir: Arc::new(dir),
            _lock: lock,
        })
    }

    /// Numbers of the segments that are there, in order.
    pub(super) fn list(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::Dir::read_from(&*self.dir)? {
            let entry = entry?;
            let name = entry.file_name().to_str().ok();
            let number = name.and_then(|name| name.strip_suffix(SUFFIX));
            numbers.extend(number.and_then(|hex| u64::from_str_radix(hex, 16).ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes a segment's file, which must not be there yet.
    pub(super) fn create(&self, number: u64) -> io::Result<File> {
        Ok(create(&self.dir, &name(number), OFlags::EXCL)?.into())
    }

    /// What a segment's file holds, and for how many seconds it was not written to.
    pub(super) fn read(&self, number: u64) -> io::Result<(Vec<u8>, u64)> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(fs::openat(&*self.dir, name(number), flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MAX_FILE {
            return Err(io::Error::other("no file of an agent"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut bytes)?;
        let age = metadata.modified().ok().and_then(|at| at.elapsed().ok());
        Ok((bytes, age.map_or(0, |age| age.as_secs())))
    }

    /// Cuts a segment off at this length.
    pub(super) fn cut(&self, number: u64, length: usize) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(fs::openat(&*self.dir, name(number), flags, Mode::empty())?);
        file.set_len(length as u64)
    }

    pub(super) fn remove(&self, number: u64) {
        remove(&self.dir, number);
    }

    /// Has `written` brought to the disk, and then removes segments: on a thread, because disks may
    /// take seconds. Until then they are as good as gone; after a crash in between, what was written
    /// says so.
    pub(super) fn sync_then_remove(&self, written: Option<&File>, numbers: Vec<u64>) {
        let file = written.and_then(|file| file.try_clone().ok());
        let dir = Arc::clone(&self.dir);
        let gone = numbers.clone();
        let job = move || {
            // If the disk does not take it, there is nothing better to do.
            let _ = file.map(|file| file.sync_data());
            let _ = fs::fsync(&*dir);
            gone.into_iter().for_each(|number| remove(&dir, number));
        };
        let builder = std::thread::Builder::new().name("spool".to_owned());
        if builder.stack_size(64 * 1024).spawn(job).is_err() {
            numbers.into_iter().for_each(|number| self.remove(number));
        }
    }
}

/// Whether [`Dir::open`] would work, without making anything.
pub(super) fn check(state: &Path) -> io::Result<()> {
    if state.join("spool").exists() {
        return Dir::open(state).map(drop);
    }
    let mut there = state.ancestors().filter(|path| path.exists());
    let there = there.next().unwrap_or(Path::new("/"));
    if !there.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(fs::access(there, fs::Access::WRITE_OK)?)
}

/// Writes all of `bytes` at the end of a file of `length` bytes, or nothing.
///
/// # Errors
/// Why not, and whether the file is as it was.
pub(super) fn append(file: &mut File, length: u64, bytes: &[u8]) -> Result<(), (io::Error, bool)> {
    // What was written of it would be damage to whoever reads.
    file.write_all(bytes)
        .map_err(|error| (error, file.set_len(length).is_ok()))
}

fn create(dir: &OwnedFd, name: &str, more: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(dir, name, flags | more, Mode::RUSR | Mode::WUSR)
}

fn remove(dir: &OwnedFd, number: u64) {
    // What cannot be removed is found again at the next start, and known to be done with.
    let _ = fs::unlinkat(dir, name(number), AtFlags::empty());
}

fn name(number: u64) -> String {
    format!("{number:016x}{SUFFIX}")
}
