//! Layers upon layers: what a container would see of them.
//!
//! As containerd unpacks them (`archive.apply`, pkg/archive/tar.go): links on the way to an entry are
//! followed inside of the tree, what is no directory replaces whatever is there, a directory only
//! what is none. What a layer takes away is what the layers below it have.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{
    Audit, Elf, Inventory, Place, Room, Skip, Start, Surroundings, loader_config, programs, resolve,
};

use crate::layer::{Layer, Node, split};
use crate::manifest::Run;

/// Findings that are told one by one, and bytes of paths for them: a whole image for another
/// architecture has some thousand, and nobody reads more.
const ROOM: Room = Room {
    foreign: 10_000,
    bytes: 4 << 20,
};

/// The files that matter, by absolute path.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
    /// The last directory whose links were followed, and where they led.
    last: Option<(Vec<u8>, Vec<u8>)>,
    files: u64,
    bytes: u64,
    skipped: Vec<(Skip, u64)>,
}

impl Tree {
    /// Lays a layer over those before.
    pub(crate) fn apply(&mut self, layer: Layer) {
        self.files += layer.files;
        self.bytes = self.bytes.saturating_add(layer.bytes);
        self.skipped.extend(layer.skipped.iter().copied());
        for (path, node) in layer.iter() {
            match node {
                Node::Removed => {
                    let path = self.place(path);
                    self.remove(&path);
                }
                Node::Opaque => {
                    let path = self.place(path);
                    self.clear(&path);
                }
                _ => {}
            }
        }
        for (path, node) in layer.entries() {
            self.add(&path, node);
        }
    }

    /// What the files are, where the image says that they are for `expected`.
    pub(crate) fn audit(self, expected: Arch, run: &Run) -> Audit {
        let mut inventory = Inventory::new(expected, ROOM);
        let surroundings = self.surroundings(run);
        for (path, node) in self.nodes {
            match node {
                Node::Elf { head, executable } => {
                    if let Some(elf) = Elf::of(&head) {
                        inventory.elf(&path, elf, || executable);
                    }
                }
                Node::Archive(found) => inventory.merge(*found),
                _ => {}
            }
        }
        let mut audit = inventory.finish(&surroundings);
        audit.files += self.files;
        audit.bytes = audit.bytes.saturating_add(self.bytes);
        for (why, count) in self.skipped {
            match audit.skipped.iter_mut().find(|(known, _)| *known == why) {
                Some((_, known)) => *known += count,
                None => audit.skipped.push((why, count)),
            }
        }
        audit
    }

    fn surroundings(&self, run: &Run) -> Surroundings {
        let bytes = |text: &String| text.as_bytes().to_vec();
        let argv: Vec<_> = run.entrypoint.iter().chain(&run.cmd).map(bytes).collect();
        let start = Start {
            argv: &argv,
            path: run.variable("PATH").map(str::as_bytes),
            dir: (!run.working_dir.is_empty()).then_some(run.working_dir.as_bytes()),
        };
        let configured = self.nodes.values().flat_map(|node| match node {
            Node::LoaderConfig(text) => loader_config(text).dirs,
            _ => Vec::new(),
        });
        let by_variable = run.variable("LD_LIBRARY_PATH").unwrap_or_default();
        let by_variable = by_variable.split([':', ';']);
        let by_variable = by_variable.filter(|dir| dir.starts_with('/'));
        let by_variable = by_variable.map(|dir| dir.trim_end_matches('/').as_bytes().to_vec());
        Surroundings {
            programs: programs(&start, &mut |path| self.look(path)),
            library_dirs: configured.chain(by_variable).collect(),
        }
    }

    fn look(&self, path: &[u8]) -> Option<Place> {
        match self.nodes.get(path) {
            Some(Node::Symlink(target)) => Some(Place::Link(target.to_vec())),
            Some(Node::Elf { head, .. }) => Some(Place::File(head.to_vec())),
            Some(Node::Script(head)) => Some(Place::File(head.to_vec())),
            Some(Node::Archive(_) | Node::LoaderConfig(_)) => Some(Place::File(Vec::new())),
            // Directories are known by what is in them.
            _ => self.below(path).next().map(|_| Place::Directory),
        }
    }

    fn add(&mut self, path: &[u8], node: Node) {
        match node {
            Node::Removed | Node::Opaque => return,
            Node::Directory => {
                let path = self.place(path);
                if self.nodes.remove(&path).is_some() {
                    self.last = None;
                }
                return;
            }
            _ => {}
        }
        let path = self.place(path);
        let node = match node {
            Node::HardLink(target) => match self.nodes.get(&self.place_of(&target)) {
                // Its first name is enough: an archive may hold much, and have many names.
                None | Some(Node::Archive(_)) => Node::Plain,
                Some(node) => node.clone(),
            },
            node => node,
        };
        self.remove(&path);
        match node {
            Node::Plain => {}
            node => {
                if matches!(node, Node::Symlink(_)) {
                    self.last = None;
                }
                self.make_way(&path);
                self.nodes.insert(path, node);
            }
        }
    }

    /// What has something below it is a directory from now on.
    fn make_way(&mut self, path: &[u8]) {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (end, _) in ends.skip(1) {
            let above = path.get(..end).unwrap_or_default();
            if !matches!(self.nodes.get(above), None | Some(Node::Symlink(_))) {
                self.nodes.remove(above);
            }
        }
    }

    /// Removes what is at a path, and below it.
    fn remove(&mut self, path: &[u8]) {
        if matches!(self.nodes.remove(path), Some(Node::Symlink(_))) {
            self.last = None;
        }
        self.clear(path);
    }

    /// Removes what is below a path.
    fn clear(&mut self, path: &[u8]) {
        loop {
            let below = self.below(path).next().cloned();
            let Some(below) = below else { return };
            self.nodes.remove(&below);
            self.last = None;
        }
    }

    fn below(&self, path: &[u8]) -> impl Iterator<Item = &Vec<u8>> {
        let dir = [path, b"/"].concat();
        let range = self.nodes.range::<[u8], _>((Excluded(&dir[..]), Unbounded));
        range
            .map(|(path, _)| path)
            .take_while(move |path| path.starts_with(&dir))
    }

    /// Where an entry comes to be: its directory's links are followed.
    fn place(&mut self, path: &[u8]) -> Vec<u8> {
        if path.is_empty() {
            return Vec::new();
        }
        let (parent, name) = split(path);
        if let Some((from, to)) = &self.last
            && from == parent
        {
            return [to, &b"/"[..], name].concat();
        }
        let place = self.place_of(path);
        self.last = Some((parent.to_vec(), split(&place).0.to_vec()));
        place
    }

    fn place_of(&self, path: &[u8]) -> Vec<u8> {
        let (parent, name) = split(path);
        let is_link = |path: &[u8]| matches!(self.nodes.get(path), Some(Node::Symlink(_)));
        let ends = parent.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let mut ends = ends.map(|(at, _)| at).skip(1).chain([parent.len()]);
        if parent.is_empty() || !ends.any(|end| parent.get(..end).is_some_and(is_link)) {
            return path.to_vec();
        }
        // Directories that nobody knows of yet are there as soon as something is put into them.
        let mut look = |path: &[u8]| match self.nodes.get(path) {
            Some(Node::Symlink(target)) => Some(Place::Link(target.to_vec())),
            _ => Some(Place::Directory),
        };
        match resolve(parent, &mut look) {
            Some((parent, _)) if parent == b"/" => [b"/", name].concat(),
            Some((parent, _)) => [&parent, &b"/"[..], name].concat(),
            // Links that lead in circles: nothing can be there.
            None => path.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests;
