//! Reads a layer from start to end.

use std::cell::Cell;
use std::io::{self, Read};

use archtrace_audit::{ArchiveLimits, begins_archive};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Elf, Inventory, Room, Skip, is_archive_name};
use archtrace_facts::tar::{Header, Kind};

use super::{Layer, LayerRoom, Node, split};
use crate::archive;
use crate::error::ScanError;
use crate::pack::unpack;
use crate::progress::Progress;
use crate::store::Blob;
use crate::tar::{Entries, Stream};

/// What a layer may grow to when it is unpacked, in any case, ...
const MAX_GROWTH: u64 = 4 << 30;
/// ... and how many times its size beyond that. Programs shrink to a third, logs to a tenth; only
/// zeros to a thousandth.
const MAX_RATIO: u64 = 200;
/// The longest path that the kernel takes (`PATH_MAX`).
const MAX_PATH: usize = 4096;
/// First bytes of a file that are looked at: what the kernel does (`BINPRM_BUF_SIZE`).
const HEAD: usize = 256;
/// Of a file of the loader's configuration.
const MAX_CONFIG: u64 = 64 << 10;

/// Of one archive: all libraries of the largest ones, with names as they have them.
const ARCHIVE_ROOM: Room = Room {
    foreign: 4096,
    bytes: 512 << 10,
};

/// What is asked of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    /// The architecture that files should be for.
    pub(crate) expected: Arch,
    /// How much of archives is looked at.
    pub(crate) archives: &'a ArchiveLimits,
    /// How much is remembered.
    pub(crate) room: &'a LayerRoom,
}

/// Reads a layer to its end, and compares its digest.
pub(crate) fn read(
    mut blob: Blob<'_>,
    options: &Options<'_>,
    progress: &Progress,
) -> Result<Layer, ScanError> {
    let path = blob.path.clone();
    let limit = growth(blob.size);
    let read = unpack(&mut blob.content)
        .map_err(|error| progress.fault(&path, error))
        .and_then(|content| entries(content, limit, &path, options, progress));
    // Of what makes no sense, a wrong digest says why.
    match (read, blob.finish(progress)) {
        (_, Err(error @ (ScanError::Digest { .. } | ScanError::Cancelled))) => Err(error),
        (Ok(layer), Ok(())) => Ok(layer),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// What something of `size` bytes may grow to when it is unpacked.
pub(crate) fn growth(size: u64) -> u64 {
    MAX_GROWTH.saturating_add(size.saturating_mul(MAX_RATIO))
}

pub(super) fn entries(
    content: impl Read,
    limit: u64,
    path: &str,
    options: &Options<'_>,
    progress: &Progress,
) -> Result<Layer, ScanError> {
    let exceeded = Cell::new(false);
    let bounded = Bounded {
        inner: content,
        left: limit,
        exceeded: &exceeded,
    };
    let mut layer = Layer::default();
    let mut entries = Entries::new(Stream(bounded), path);
    loop {
        match one(&mut entries, &mut layer, options) {
            Ok(true) => progress.check()?,
            Ok(false) => return Ok(layer),
            Err(_) if exceeded.get() => {
                layer.skip(Skip::Bytes);
                return Ok(layer);
            }
            Err(error) => return Err(progress.check().err().unwrap_or(error)),
        }
    }
}

/// Takes in the next entry; false behind the last one, or if there is no more room.
fn one<R: Read>(
    entries: &mut Entries<'_, Stream<R>>,
    layer: &mut Layer,
    options: &Options<'_>,
) -> Result<bool, ScanError> {
    let Some(header) = entries.next()? else {
        return Ok(false);
    };
    let path = match absolute(&header.name) {
        Ok(path) => path,
        Err(why) => {
            layer.skip(why);
            return Ok(true);
        }
    };
    if path.is_empty() {
        return Ok(true);
    }
    let (parent, name) = split(&path);
    if let Some(hidden) = name.strip_prefix(b".wh.") {
        return Ok(match hidden {
            b".wh..opq" => layer.push(parent, Node::Opaque, options.room),
            // What aufs kept for itself.
            _ if hidden.starts_with(b".wh.") => true,
            _ => layer.push(
                &[parent, b"/", hidden].concat(),
                Node::Removed,
                options.room,
            ),
        });
    }
    let node = match header.kind {
        Kind::Directory => Node::Directory,
        Kind::Symlink => Node::Symlink(header.link.into()),
        Kind::HardLink => match absolute(&header.link) {
            Ok(target) => Node::HardLink(target.into()),
            Err(why) => {
                layer.skip(why);
                return Ok(true);
            }
        },
        Kind::File
        | Kind::Sparse {
            from_start: true, ..
        } => {
            layer.files += 1;
            file(entries, &path, &header, layer, options)?
        }
        Kind::Sparse { .. } => {
            layer.files += 1;
            Node::Plain
        }
        Kind::Mapped => {
            layer.skip(Skip::Unreadable);
            Node::Plain
        }
        _ => Node::Plain,
    };
    Ok(layer.push(&path, node, options.room))
}

/// Looks at a regular file.
fn file<R: Read>(
    entries: &mut Entries<'_, Stream<R>>,
    path: &[u8],
    header: &Header,
    layer: &mut Layer,
    options: &Options<'_>,
) -> Result<Node, ScanError> {
    let mut head = [0; HEAD];
    let len = entries.read(&mut head)?;
    let head = head.get(..len).unwrap_or_default();
    layer.bytes = layer.bytes.saturating_add(len as u64);
    let executable = header.mode & 0o111 != 0;
    if let (Some(_), Some(head)) = (Elf::of(head), head.first_chunk()) {
        return Ok(Node::Elf {
            head: *head,
            executable,
        });
    }
    if is_archive_name(path) && begins_archive(head) {
        let mut inventory = Box::new(Inventory::new(options.expected, ARCHIVE_ROOM));
        let whole = head.chain(Content(entries));
        let limits = options.archives;
        let read = archive::streamed(&mut inventory, path, whole, header.size, limits);
        read.map_err(|error| entries.broken(error))?;
        return Ok(Node::Archive(inventory));
    }
    if head.starts_with(b"#!") && executable {
        return Ok(Node::Script(head.into()));
    }
    if is_loader_config(path) && header.size <= MAX_CONFIG {
        let mut text = head.to_vec();
        let read = Content(entries).read_to_end(&mut text);
        read.map_err(|error| entries.broken(error))?;
        return Ok(Node::LoaderConfig(text.into()));
    }
    Ok(Node::Plain)
}

/// Whether the loader's configuration may be there: `/etc/ld.so.conf`, and what distributions
/// include in it.
fn is_loader_config(path: &[u8]) -> bool {
    path == b"/etc/ld.so.conf"
        || (path.starts_with(b"/etc/ld.so.conf.d/") && path.ends_with(b".conf"))
}

/// A name in an archive as an absolute path without `.`; the root is empty. What leads upwards is no
/// path of an image: programs that unpack images refuse it or cut it off.
fn absolute(name: &[u8]) -> Result<Vec<u8>, Skip> {
    let mut path = Vec::with_capacity(name.len() + 1);
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(Skip::BadArchive),
            part => {
                path.push(b'/');
                path.extend_from_slice(part);
            }
        }
    }
    if path.len() > MAX_PATH {
        return Err(Skip::Depth);
    }
    Ok(path)
}

/// The rest of an entry's content.
struct Content<'a, 'b, R>(&'a mut Entries<'b, Stream<R>>);

impl<R: Read> Read for Content<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(io::Error::other)
    }
}

/// Ends with an error where there is more than it may be.
struct Bounded<'a, R> {
    inner: R,
    left: u64,
    exceeded: &'a Cell<bool>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                self.exceeded.set(true);
                return Err(io::Error::other("more than any layer has"));
            }
        }
        Ok(count)
    }
}
