//! Libraries in a zip archive, and in archives within it.
//!
//! Only the central directory is read, and of each library its first bytes.

use std::cell::Cell;
use std::io;

use archtrace_facts::audit::{Elf, Inventory, Skip, is_archive_name, is_library_name};
use archtrace_facts::zip::{self, Directory, End, Entry, Next};

use crate::read_at::{ReadAt, Window};
use crate::{ArchiveLimits, START};

mod inflate;

/// Where the record of the end is, where an archive has no comment: nearly always.
const SHORT_TAIL: usize = 1024;
/// Read at once of a central directory: some 500 entries.
const CHUNK: usize = 64 * 1024;
/// The longest name that is kept: nothing with a longer one can be unpacked (`PATH_MAX`).
const MAX_NAME: usize = 4096;

/// Looks at the archive at `path` of the tree, and tells `inventory` of the libraries in it.
///
/// What makes no sense, and what `limits` forbid, is counted as skipped. Returns how many bytes were
/// read or inflated.
pub fn archive(
    inventory: &mut Inventory,
    path: &[u8],
    file: &dyn ReadAt,
    limits: &ArchiveLimits,
) -> u64 {
    let counted = Counted {
        file,
        bytes: Cell::new(0),
    };
    let mut look = Look {
        inventory,
        limits,
        libraries: 0,
        inflated: 0,
    };
    look.archive(path, &counted, 0);
    let bytes = counted.bytes.get() + look.inflated;
    inventory.read(bytes);
    bytes
}

/// Why an archive, or one entry, is not looked at (any further).
type Skipped<T> = Result<T, Skip>;

/// What is common to an archive and those within.
struct Look<'a> {
    inventory: &'a mut Inventory,
    limits: &'a ArchiveLimits,
    libraries: usize,
    inflated: u64,
}

impl Look<'_> {
    fn archive(&mut self, path: &[u8], file: &dyn ReadAt, depth: usize) {
        let mut found = Vec::new();
        let end = self.entries(path, file, depth, &mut found);
        self.inventory.archive(path, &found);
        if let Err(why) = end {
            self.inventory.skipped(why);
        }
    }

    /// Goes through the central directory. What was found before it went wrong counts.
    fn entries(
        &mut self,
        path: &[u8],
        file: &dyn ReadAt,
        depth: usize,
        found: &mut Vec<(Vec<u8>, Elf)>,
    ) -> Skipped<()> {
        let directory = directory(file)?;
        if directory.len > self.limits.directory {
            return Err(Skip::Bytes);
        }
        let (mut at, end) = (directory.start, directory.start + directory.len);
        let mut bytes = Vec::new();
        let mut seen = 0;
        while seen < directory.entries {
            let rest = usize::try_from(end - at).unwrap_or(usize::MAX);
            if !more(file, &mut bytes, at, rest)? {
                return Err(Skip::BadArchive);
            }
            let mut used = 0;
            loop {
                match zip::next(&bytes[used..]) {
                    Next::Entry(entry, len) => {
                        used += len;
                        seen += 1;
                        self.entry(path, file, directory, entry, depth, found)?;
                    }
                    Next::More => break,
                    Next::End if used == bytes.len() || seen >= directory.entries => break,
                    Next::End => return Err(Skip::BadArchive),
                }
            }
            at += used as u64;
            bytes.drain(..used);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: &[u8],
        file: &dyn ReadAt,
        directory: Directory,
        entry: Entry<'_>,
        depth: usize,
        found: &mut Vec<(Vec<u8>, Elf)>,
    ) -> Skipped<()> {
        let nested = is_archive_name(entry.name);
        if !nested && !is_library_name(entry.name) {
            return Ok(());
        }
        self.libraries += 1;
        if self.libraries > self.limits.libraries {
            return Err(Skip::Entries);
        }
        let result = if entry.name.len() > MAX_NAME || entry.encrypted {
            Err(Skip::BadArchive)
        } else if nested && depth >= self.limits.depth {
            Err(Skip::Depth)
        } else {
            data(file, directory, entry).and_then(|data| {
                if nested {
                    let path = [path, b"!/", entry.name].concat();
                    self.nested(&path, &data, entry, depth)?;
                } else if let Some(elf) = start(&data, entry)? {
                    found.push((entry.name.to_vec(), elf));
                }
                Ok(())
            })
        };
        // One bad entry says nothing of the others.
        if let Err(why) = result {
            self.inventory.skipped(why);
        }
        Ok(())
    }

    fn nested(
        &mut self,
        path: &[u8],
        data: &Window<'_>,
        entry: Entry<'_>,
        depth: usize,
    ) -> Skipped<()> {
        match entry.method {
            zip::STORED => self.archive(path, data, depth + 1),
            zip::DEFLATED => {
                // Entries may share their bytes, so that a small archive holds many large ones.
                let inflated = self.inflated.saturating_add(entry.len);
                let most = self.limits.memory.max(self.limits.spool);
                if entry.len > most || inflated > self.limits.inflated {
                    return Err(Skip::Bytes);
                }
                self.inflated = inflated;
                let spool = inflate::whole(data, entry.len, self.limits)?;
                self.archive(path, &spool, depth + 1);
            }
            _ => return Err(Skip::BadArchive),
        }
        Ok(())
    }
}

/// Adds bytes of the directory from `at` on, of which `rest` are left. Whether there were any.
fn more(file: &dyn ReadAt, bytes: &mut Vec<u8>, at: u64, rest: usize) -> Skipped<bool> {
    let old = bytes.len();
    // An entry that is longer than a chunk takes two turns, and there is none longer than that.
    let len = (old + CHUNK).min(rest).min(zip::MAX_ENTRY + CHUNK);
    if len <= old {
        return Ok(false);
    }
    bytes.resize(len, 0);
    let read = file
        .read_full_at(&mut bytes[old..], at + old as u64)
        .map_err(|_| Skip::Unreadable)?;
    bytes.truncate(old + read);
    Ok(read > 0)
}

/// Finds the central directory.
fn directory(file: &dyn ReadAt) -> Skipped<Directory> {
    let len = file.size().map_err(|_| Skip::Unreadable)?;
    let tail = |want: usize| -> Skipped<Vec<u8>> {
        let want = usize::try_from(len).unwrap_or(usize::MAX).min(want);
        read(file, len - want as u64, want)
    };
    let short = zip::end(&tail(SHORT_TAIL)?, len);
    let end = match short {
        None if len > SHORT_TAIL as u64 => zip::end(&tail(zip::TAIL)?, len),
        end => end,
    };
    match end.ok_or(Skip::BadArchive)? {
        End::Directory(directory) => Ok(directory),
        End::Zip64(places) => places
            .into_iter()
            .find_map(|at| zip::end64(&read(file, at, zip::END64_LEN).ok()?, at))
            .ok_or(Skip::BadArchive),
    }
}

/// Where the bytes of an entry are, packed as they are.
fn data<'a>(file: &'a dyn ReadAt, directory: Directory, entry: Entry<'_>) -> Skipped<Window<'a>> {
    let header = entry
        .header
        .checked_add(directory.shift)
        .ok_or(Skip::BadArchive)?;
    let offset = zip::data_offset(&read(file, header, zip::LOCAL_LEN)?).ok_or(Skip::BadArchive)?;
    let start = header.checked_add(offset).ok_or(Skip::BadArchive)?;
    Ok(Window::new(file, start, entry.packed))
}

/// What the first bytes of an entry say it is.
fn start(data: &Window<'_>, entry: Entry<'_>) -> Skipped<Option<Elf>> {
    match entry.method {
        zip::STORED => Ok(Elf::of(&read(data, 0, START)?)),
        zip::DEFLATED => Ok(Elf::of(&inflate::start(data)?)),
        // Others are allowed, and no Java or Python reads them.
        _ => Err(Skip::BadArchive),
    }
}

fn read(file: &dyn ReadAt, at: u64, len: usize) -> Skipped<Vec<u8>> {
    let mut bytes = vec![0; len];
    let read = file
        .read_full_at(&mut bytes, at)
        .map_err(|_| Skip::Unreadable)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Counts what is read of a file.
struct Counted<'a> {
    file: &'a dyn ReadAt,
    bytes: Cell<u64>,
}

impl ReadAt for Counted<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        self.bytes.set(self.bytes.get() + read as u64);
        Ok(read)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}
