//! Walks a tree of files and tells which are for another machine.
//!
//! What a file's bytes and its place mean is decided by [`archtrace_facts::audit`]; this crate only
//! looks. It must not follow a link, leave the tree or its file system, open anything but regular
//! files, or write to what it looks at; all that it remembers has a bound.
//!
//! | module | what it does |
//! |---|---|
//! | `walk` | directories, in several threads |
//! | `open` | how a file is opened without being led astray |
//! | `around` | what the image runs, and where its loader looks |
//! | `archive` | libraries in jars and wheels |
//! | `pace` | keeps a walk slow |
//! | `priority` | lets everything else go first |
#![forbid(unsafe_code)]

use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use archtrace_facts::audit::{Audit, Elf, Inventory, Surroundings, is_archive_name};

mod archive;
mod around;
mod error;
mod open;
mod options;
mod pace;
mod priority;
mod progress;
mod read_at;
mod walk;

pub use archive::archive;
pub use error::AuditError;
pub use options::{ArchiveLimits, Launch, Limits, Options, Pace, Tree};
pub use priority::idle_priority;
pub use progress::Progress;
pub use read_at::{ReadAt, Window};

/// Bytes at the start of a file that are read of each: an ELF header.
const START: usize = 64;

/// Looks at all files below the directory `root`.
///
/// # Errors
/// If it was cancelled, or the root cannot be listed. What could not be looked at is counted.
pub fn tree(
    root: BorrowedFd<'_>,
    options: &Options,
    progress: &Progress,
) -> Result<Audit, AuditError> {
    let around = around::surroundings(root, options);
    let inventory = walk::walk(root, options, progress)?;
    Ok(inventory.finish(&around))
}

/// The same, of the directory at `path`.
///
/// # Errors
/// The same, or if `path` cannot be opened, or is no directory.
pub fn tree_at(path: &Path, options: &Options, progress: &Progress) -> Result<Audit, AuditError> {
    tree(open::root(path)?.as_fd(), options, progress)
}

/// Looks at the file at `path`, which links may lead to: an ELF file or an archive.
///
/// # Errors
/// If it cannot be opened or read, or is no regular file.
pub fn file(path: &Path, options: &Options, progress: &Progress) -> Result<Audit, AuditError> {
    let file = open::single(path)?;
    let failed = |source| AuditError::Read {
        path: path.to_owned(),
        source,
    };
    let mut inventory = Inventory::new(options.expected, options.limits.room);
    let mut start = [0; START];
    let read = file.read_full_at(&mut start, 0).map_err(failed)?;
    inventory.file(read as u64);
    let name = path.as_os_str().as_bytes();
    if let Some(elf) = Elf::of(&start[..read]) {
        inventory.elf(name, elf, || true);
    } else if is_archive_name(name) {
        archive(&mut inventory, name, &file, &options.limits.archive);
    }
    progress.add_files(1);
    Ok(inventory.finish(&Surroundings::default()))
}

/// Whether a file whose name is that of an archive, and which begins with `start`, is read as one:
/// zip's magic, or a script in front of it (Spring Boot, zipapp).
#[must_use]
pub fn begins_archive(start: &[u8]) -> bool {
    start.starts_with(b"PK") || start.starts_with(b"#!")
}
