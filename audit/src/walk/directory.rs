//! Looks at the files of one directory after the other.

use std::ffi::CStr;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::Ordering;

use archtrace_facts::audit::{Elf, Inventory, Skip, is_archive_name};
use rustix::fs::{AtFlags, FileType, RawDir, fstat, statat};
use rustix::io::{Errno, pread};

use super::Shared;
use super::queue::Pending;
use crate::open::{self, Opener};
use crate::pace::Pacer;
use crate::{START, archive, begins_archive};

/// Read at once of a directory: what glibc's readdir(3) takes too.
const BUFFER: usize = 32 * 1024;
/// Entries after which a thread looks at what others did, and at the time.
const STEP: u64 = 256;
/// The longest path that can be opened (`PATH_MAX`, with its NUL).
const MAX_PATH: usize = 4095;

/// One thread of a walk.
pub(super) struct Walker<'a> {
    shared: &'a Shared<'a>,
    inventory: Inventory,
    opener: Opener,
    pacer: Pacer,
    /// Since the last step.
    entries: u64,
    files: u64,
    bytes: u64,
}

impl<'a> Walker<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Self {
        let options = shared.options;
        Self {
            shared,
            inventory: Inventory::new(options.expected, options.limits.room),
            opener: Opener::new(options.tree),
            pacer: Pacer::new(options.pace, options.threads.max(1)),
            entries: 0,
            files: 0,
            bytes: 0,
        }
    }

    /// Looks at directories until there are none left.
    pub(super) fn run(mut self) -> Inventory {
        let mut buffer = Vec::with_capacity(BUFFER);
        while let Some(taken) = self.shared.queue.take() {
            self.directory(&taken.dir, buffer.spare_capacity_mut());
            self.step();
        }
        self.inventory
    }

    fn directory(&mut self, dir: &Pending, buffer: &mut [MaybeUninit<u8>]) {
        let fd = match open::directory(self.shared.root, &dir.path) {
            Ok(fd) => fd,
            Err(error) => return self.inventory.skipped(why(error)),
        };
        let mut below = Vec::new();
        let mut entries = RawDir::new(fd.as_fd(), buffer);
        while let Some(entry) = entries.next() {
            let Ok(entry) = entry else {
                self.inventory.skipped(Skip::Unreadable);
                break;
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.entries += 1;
            if self.entries >= STEP {
                self.step();
            }
            if self.shared.is_over() {
                return;
            }
            match kind(fd.as_fd(), name, entry.file_type()) {
                FileType::RegularFile => self.file(fd.as_fd(), &dir.path, name),
                FileType::Directory => self.see(dir, name, &mut below),
                // What is gone meanwhile, and all that is neither.
                _ => {}
            }
        }
        drop(fd);
        for _ in 0..self.shared.queue.add(below) {
            self.inventory.skipped(Skip::Entries);
        }
    }

    /// A directory that is to be looked at later.
    fn see(&mut self, parent: &Pending, name: &CStr, below: &mut Vec<Pending>) {
        let path = join(&parent.path, name);
        if parent.depth >= self.shared.options.limits.depth || path.len() > MAX_PATH {
            self.inventory.skipped(Skip::Depth);
            return;
        }
        below.push(Pending {
            path,
            depth: parent.depth + 1,
        });
    }

    fn file(&mut self, dir: BorrowedFd<'_>, parent: &[u8], name: &CStr) {
        let fd = match self.opener.regular(dir, name) {
            Ok(fd) => fd,
            Err(error) => return self.inventory.skipped(why(error)),
        };
        let mut start = [0; START];
        let Ok(read) = pread(&fd, &mut start, 0) else {
            return self.inventory.skipped(Skip::Unreadable);
        };
        let start = start.get(..read).unwrap_or_default();
        self.inventory.file(read as u64);
        self.files += 1;
        let mut bytes = read as u64;
        if let Some(elf) = Elf::of(start) {
            let executable = || fstat(&fd).is_ok_and(|stat| stat.st_mode & 0o111 != 0);
            self.inventory.elf(&absolute(parent, name), elf, executable);
        } else if is_archive_name(name.to_bytes()) && begins_archive(start) {
            let limits = &self.shared.options.limits.archive;
            let path = absolute(parent, name);
            if is_archive_name(&path) {
                bytes += archive(&mut self.inventory, &path, &File::from(fd), limits);
            }
        }
        self.bytes += bytes;
        self.pacer.done(1, bytes, self.shared.progress);
    }

    /// Tells the others what was done, and sees whether it is enough.
    fn step(&mut self) {
        let shared = self.shared;
        let limits = &shared.options.limits;
        let total = |sum: &std::sync::atomic::AtomicU64, part: &mut u64| {
            let part = std::mem::take(part);
            sum.fetch_add(part, Ordering::Relaxed) + part
        };
        shared.progress.add_files(std::mem::take(&mut self.files));
        let entries = total(&shared.entries, &mut self.entries);
        let bytes = total(&shared.bytes, &mut self.bytes);
        let late = limits
            .time
            .is_some_and(|time| shared.start.elapsed() > time);
        let why = if entries > limits.entries {
            Some(Skip::Entries)
        } else if bytes > limits.bytes {
            Some(Skip::Bytes)
        } else {
            late.then_some(Skip::Time)
        };
        if let Some(why) = why
            && !shared.ended.swap(true, Ordering::Relaxed)
        {
            self.inventory.skipped(why);
        }
        if shared.is_over() {
            shared.queue.close();
        }
    }
}

/// What an entry is, where its file system did not say with the name.
fn kind(dir: BorrowedFd<'_>, name: &CStr, told: FileType) -> FileType {
    if told != FileType::Unknown {
        return told;
    }
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileType::Unknown, |stat| open::file_type(&stat))
}

fn why(error: Errno) -> Skip {
    match error {
        Errno::XDEV => Skip::OtherFileSystem,
        _ => Skip::Unreadable,
    }
}

fn join(parent: &[u8], name: &CStr) -> Vec<u8> {
    let slash: &[u8] = if parent.is_empty() { b"" } else { b"/" };
    [parent, slash, name.to_bytes()].concat()
}

fn absolute(parent: &[u8], name: &CStr) -> Vec<u8> {
    [b"/", join(parent, name).as_slice()].concat()
}
