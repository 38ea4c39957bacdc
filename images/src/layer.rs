//! What one layer adds, hides and takes away (OCI image-spec, layer.md).

mod read;

pub(crate) use read::{Options, growth, read};

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use archtrace_facts::audit::{Inventory, Skip, Surroundings};
use archtrace_facts::elf::HEAD_LEN;

/// Bytes of names and of what else is remembered of the layers of one image, until they lie upon each
/// other: those of a million files. Images of two platforms are read at the same time.
const ROOM: usize = 96 << 20;
/// What an entry takes beside its name.
const ENTRY: usize = 40;

/// What is known of an entry. Files that do not matter are remembered only for what they hide.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Plain,
    Directory,
    Elf {
        head: [u8; HEAD_LEN],
        executable: bool,
    },
    /// The first bytes.
    Script(Box<[u8]>),
    /// What is in it.
    Archive(Box<Inventory>),
    /// The whole text.
    LoaderConfig(Box<[u8]>),
    Symlink(Box<[u8]>),
    /// Absolute.
    HardLink(Box<[u8]>),
    /// The lower layers' file or directory is gone.
    Removed,
    /// All that lower layers have in this directory is gone.
    Opaque,
}

/// What all layers of an image share.
#[derive(Debug)]
pub(crate) struct LayerRoom(AtomicUsize);

impl Default for LayerRoom {
    fn default() -> Self {
        Self(AtomicUsize::new(ROOM))
    }
}

impl LayerRoom {
    /// Whether there was room for so many bytes.
    fn take(&self, bytes: usize) -> bool {
        let taken = self
            .0
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes));
        taken.is_ok()
    }
}

/// One layer, its entries in their order.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    names: Vec<u8>,
    entries: Vec<(usize, Node)>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) skipped: Vec<(Skip, u64)>,
}

impl Layer {
    /// Absolute paths, and what is there.
    pub(crate) fn entries(self) -> impl Iterator<Item = (Vec<u8>, Node)> {
        let mut at = 0;
        self.entries.into_iter().map(move |(len, node)| {
            let path = self.names.get(at..at + len).unwrap_or_default().to_vec();
            at += len;
            (path, node)
        })
    }

    /// The entries by reference.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Node)> {
        let mut at = 0;
        self.entries.iter().map(move |(len, node)| {
            let path = self.names.get(at..at + len).unwrap_or_default();
            at += len;
            (path, node)
        })
    }

    /// Remembers an entry; false if there is no more room.
    pub(crate) fn push(&mut self, path: &[u8], node: Node, room: &LayerRoom) -> bool {
        let kept = match &node {
            Node::Script(bytes) | Node::LoaderConfig(bytes) => bytes.len(),
            Node::Symlink(target) | Node::HardLink(target) => target.len(),
            Node::Archive(found) => weight(found),
            Node::Plain | Node::Directory | Node::Elf { .. } | Node::Removed | Node::Opaque => 0,
        };
        if !room.take(ENTRY + path.len() + kept) {
            self.skip(Skip::Entries);
            return false;
        }
        self.names.extend_from_slice(path);
        self.entries.push((path.len(), node));
        true
    }

    fn skip(&mut self, why: Skip) {
        match self.skipped.iter_mut().find(|(known, _)| *known == why) {
            Some((_, count)) => *count += 1,
            None => self.skipped.push((why, 1)),
        }
    }
}

/// A path's directory, which is empty for the root, and its last name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let (parent, name) = path.split_at(at);
    (parent, name.strip_prefix(b"/").unwrap_or(name))
}

/// About how many bytes are remembered of an archive: an inventory as such has some hundred.
fn weight(found: &Inventory) -> usize {
    let audit = found.clone().finish(&Surroundings::default());
    let paths = audit.foreign.iter().map(|file| file.path.len() + 64);
    512 + paths.sum::<usize>()
}

#[cfg(test)]
mod tests;
