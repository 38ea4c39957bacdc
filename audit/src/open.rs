//! How files are opened without being led astray.
//!
//! A name in somebody else's tree may be a link out of it, a FIFO that blocks whoever opens it, a
//! device that does something when opened, or the root of another file system that hangs. So no link
//! is followed, no mount entered (openat2(2)), and nothing opened but regular files and directories.

use std::cell::Cell;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat, openat2};
use rustix::io::Errno;

use crate::{AuditError, Tree};

/// Nothing that leads out of the tree, or onto another file system.
const STAY: ResolveFlags = ResolveFlags::IN_ROOT
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);

/// Opens regular files of a tree.
#[derive(Debug)]
pub(crate) struct Opener {
    tree: Tree,
    /// Whether the times of files are left as they are. Only their owner and `CAP_FOWNER` may ask
    /// for it (open(2)), so it is given up when refused.
    no_atime: Cell<bool>,
}

impl Opener {
    pub(crate) fn new(tree: Tree) -> Self {
        Self {
            tree,
            no_atime: Cell::new(true),
        }
    }

    /// Opens the regular file `name` below `dir`.
    pub(crate) fn regular(&self, dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
        match self.tree {
            Tree::Still => self
                .reading(|flags| openat2(dir, name, flags | OFlags::NOFOLLOW, Mode::empty(), STAY)),
            Tree::Live => {
                let (file, stat) = look(dir, name)?;
                if file_type(&stat) != FileType::RegularFile {
                    return Err(Errno::INVAL);
                }
                let same = format!("/proc/self/fd/{}", file.as_raw_fd());
                self.reading(|flags| open(same.as_str(), flags, Mode::empty()))
            }
        }
    }

    fn reading(&self, open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
        // O_NONBLOCK: a FIFO that was put into the file's place would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if !self.no_atime.get() {
            return open(flags);
        }
        match open(flags | OFlags::NOATIME) {
            Err(Errno::PERM) => {
                self.no_atime.set(false);
                open(flags)
            }
            other => other,
        }
    }
}

/// Opens the directory at `path`, relative to the tree's root, to list it.
pub(crate) fn directory(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(root, path, flags | OFlags::NOFOLLOW, Mode::empty(), STAY)
}

/// What is at `path` itself, opened only to ask about it.
pub(crate) fn look<P: rustix::path::Arg>(
    dir: BorrowedFd<'_>,
    path: P,
) -> Result<(OwnedFd, Stat), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat2(dir, path, flags, Mode::empty(), STAY)?;
    let stat = fstat(&file)?;
    Ok((file, stat))
}

pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The root of a tree that somebody named: links to it are followed.
pub(crate) fn root(path: &Path) -> Result<OwnedFd, AuditError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).map_err(|error| AuditError::Open {
        path: path.to_owned(),
        source: error.into(),
    })
}

/// A regular file that somebody named: links to it are followed.
pub(crate) fn single(path: &Path) -> Result<File, AuditError> {
    let failed = |source: io::Error| AuditError::Open {
        path: path.to_owned(),
        source,
    };
    let there = std::fs::metadata(path).map_err(failed)?;
    if !there.is_file() {
        return Err(AuditError::NotRegular {
            path: path.to_owned(),
        });
    }
    File::open(path).map_err(failed)
}
