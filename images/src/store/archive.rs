//! The files of a tar archive, which are read at any place.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use archtrace_facts::tar::{Header, Kind};

use crate::error::ScanError;
use crate::progress::Progress;
use crate::tar::Source;

/// Entries of an archive of images that are remembered. An image has a blob for each of at most 127
/// layers (overlayfs with the mount options of containerd) and two descriptions; nobody saves
/// hundreds of images at once.
const MAX_ENTRIES: usize = 50_000;
/// Links that are followed within an archive; `docker save` used to write one for a layer that it has
/// twice.
const MAX_LINKS: usize = 4;

/// Where the files are, by their names.
pub(super) type Entries = HashMap<Vec<u8>, Entry>;

/// What is at a name.
pub(super) enum Entry {
    File { at: u64, len: u64 },
    Link(Vec<u8>),
}

/// Reads the headers of an archive.
pub(super) fn index(file: &File, path: &str, progress: &Progress) -> Result<Entries, ScanError> {
    let io = |error| ScanError::io(path, error);
    let len = file.metadata().map_err(io)?.len();
    let mut seeking = file.try_clone().map_err(io)?;
    seeking.rewind().map_err(io)?;
    let mut archive = crate::tar::Entries::new(Seeking { file: seeking, len }, path);
    let mut entries = HashMap::new();
    while let Some(header) = archive.next()? {
        progress.check()?;
        if let Some((name, entry)) = entry(&header, archive.position())
            && entries.len() < MAX_ENTRIES
        {
            entries.insert(name, entry);
        }
    }
    if !archive.has_ended() {
        return Err(ScanError::Truncated {
            path: path.to_owned(),
        });
    }
    Ok(entries)
}

fn entry(header: &Header, at: u64) -> Option<(Vec<u8>, Entry)> {
    let entry = match header.kind {
        Kind::File => Entry::File {
            at,
            len: header.size,
        },
        Kind::Symlink | Kind::HardLink => Entry::Link(header.link.clone()),
        _ => return None,
    };
    let name = header.name.strip_prefix(b"./").unwrap_or(&header.name);
    Some((name.to_vec(), entry))
}

/// Opens a file of the archive, with its size.
pub(super) fn open(
    file: &Arc<File>,
    entries: &Entries,
    name: &str,
) -> Option<(Box<dyn Read + Send>, u64)> {
    let mut name = name.as_bytes().to_vec();
    for _ in 0..MAX_LINKS {
        match entries.get(&name)? {
            Entry::File { at, len } => {
                let window = Window {
                    file: Arc::clone(file),
                    at: *at,
                    left: *len,
                };
                return Some((Box::new(window), *len));
            }
            Entry::Link(target) => name = joined(&name, target, entries),
        }
    }
    None
}

/// A symbolic link leads on from where it is, a hard link from the archive's root.
fn joined(name: &[u8], target: &[u8], entries: &Entries) -> Vec<u8> {
    if entries.contains_key(target) {
        return target.to_vec();
    }
    let mut path: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
    path.pop();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.join(&b'/')
}

/// A part of a file, read wherever others read it too.
struct Window {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(buffer) = buffer.get_mut(..len).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        let count = self.file.read_at(buffer, self.at)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

struct Seeking {
    file: File,
    len: u64,
}

impl Read for Seeking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Source for Seeking {
    /// Seeking beyond a file's end is no error, but there is nothing.
    fn skip(&mut self, len: u64) -> io::Result<()> {
        let at = self.file.stream_position()?;
        let to = at.checked_add(len).filter(|to| *to <= self.len);
        let to = to.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.file.seek(SeekFrom::Start(to)).map(drop)
    }
}
