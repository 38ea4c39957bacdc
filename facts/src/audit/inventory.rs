//! Collects what is seen in a tree, and decides at its end what of it is a finding.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::role::{self, Within};
use super::{Audit, Foreign, Program, Role, Skip, sibling};
use crate::arch::Arch;
use crate::elf::header::{ET_DYN, ET_EXEC};
use crate::elf::{Data, Ident};
use crate::text::escape;

/// What the start of an ELF file says, as far as an audit asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elf {
    /// Its instruction set.
    pub arch: Arch,
    /// Whether it is a program or a shared library, rather than an object file or a core dump.
    pub loadable: bool,
}

impl Elf {
    /// Reads it from a file's first bytes, of which [`HEAD_LEN`](crate::elf::HEAD_LEN) suffice.
    #[must_use]
    pub fn of(start: &[u8]) -> Option<Self> {
        let ident = Ident::of(start)?;
        let kind = *start.get(16..)?.first_chunk()?;
        let kind = match ident.data {
            Data::Little => u16::from_le_bytes(kind),
            Data::Big => u16::from_be_bytes(kind),
        };
        Some(Self {
            arch: Arch::of(ident),
            loadable: matches!(kind, ET_EXEC | ET_DYN),
        })
    }

    /// Whether CPUs that `expected` is for cannot run it, and those of other nodes could.
    #[must_use]
    pub fn is_foreign(self, expected: Arch) -> bool {
        let known = !matches!(self.arch, Arch::Other(_) | Arch::Unknown);
        let family = [Some(expected), expected.compat(), x32(expected)];
        self.loadable && known && !family.contains(&Some(self.arch))
    }
}

/// How much an inventory remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Foreign files that are told of; more are counted.
    pub foreign: usize,
    /// Bytes of paths that are kept until the whole tree is known.
    pub bytes: usize,
}

/// What must be known of a tree beside its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// What the image runs, as [`programs`](super::programs) tells it.
    pub programs: Vec<Program>,
    /// Where the loader was told to look: its configuration, and `LD_LIBRARY_PATH`.
    pub library_dirs: Vec<Vec<u8>>,
}

/// Files in one place that are told of, where that place is named for their architecture. Someone
/// who is told of these knows the place.
const MAX_IN_PLACE: usize = 64;
/// Places that are remembered to have files of the expected architecture: eight bytes each. A tree
/// of all of Debian has some hundred.
const MAX_PLACES: usize = 1 << 16;
/// Places with foreign files that are remembered.
const MAX_GROUPS: usize = 1 << 13;

/// What was seen in a tree so far. Several may each see a part of it, and be merged.
#[derive(Clone, Debug)]
pub struct Inventory {
    expected: Arch,
    room: Room,
    files: u64,
    bytes: u64,
    elf: BTreeMap<Arch, u64>,
    skipped: BTreeMap<Skip, u64>,
    /// Places, as [`sibling::places`] has them, that have a file of the expected architecture.
    served: HashSet<u64>,
    groups: HashMap<Vec<u64>, Group>,
    kept: usize,
    more: u64,
}

/// Foreign files that are on the way of the same places.
#[derive(Clone, Debug, Default)]
struct Group {
    /// Those that come first in the order of their names, so that it does not matter who saw them.
    files: BTreeMap<Vec<u8>, (Arch, Within)>,
    more: u64,
}

impl Inventory {
    /// Nothing was seen yet of a tree that should be for `expected`.
    #[must_use]
    pub fn new(expected: Arch, room: Room) -> Self {
        Self {
            expected,
            room,
            files: 0,
            bytes: 0,
            elf: BTreeMap::new(),
            skipped: BTreeMap::new(),
            served: HashSet::new(),
            groups: HashMap::new(),
            kept: 0,
            more: 0,
        }
    }

    /// A regular file was looked at, of which `bytes` were read.
    pub fn file(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Further bytes were read or inflated.
    pub fn read(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Something was not looked at.
    pub fn skipped(&mut self, why: Skip) {
        *self.skipped.entry(why).or_default() += 1;
    }

    /// The file at `path`, which is absolute within the tree, is `elf`. `executable` says whether its
    /// mode allows to execute it; it is only asked where that matters.
    pub fn elf(&mut self, path: &[u8], elf: Elf, executable: impl FnOnce() -> bool) {
        self.count(elf.arch);
        if elf.loadable && elf.arch == self.expected {
            self.serve(sibling::places(path, elf.arch));
        } else if elf.is_foreign(self.expected)
            && !role::is_for_others(path, elf.arch)
            && (role::is_library_name(path) || executable())
        {
            self.foreign(path.to_vec(), elf.arch, Within::Tree);
        }
    }

    /// The archive at `path` has these libraries. An archive in an archive has a path like
    /// `/app.war!/WEB-INF/lib/a.jar`.
    pub fn archive(&mut self, path: &[u8], entries: &[(Vec<u8>, Elf)]) {
        let whole = |name: &[u8]| [path, b"!/", name].concat();
        let mut both = false;
        for (name, elf) in entries {
            self.count(elf.arch);
            if elf.loadable && elf.arch == self.expected {
                both = true;
                self.serve(sibling::places(&whole(name), elf.arch));
            }
        }
        for (name, elf) in entries {
            if !both && elf.is_foreign(self.expected) {
                self.foreign(whole(name), elf.arch, role::within(path));
            }
        }
    }

    /// Adds what another one saw of the same tree.
    pub fn merge(&mut self, other: Self) {
        let Self {
            expected: _,
            room: _,
            files,
            bytes,
            elf,
            skipped,
            served,
            groups,
            kept: _,
            more,
        } = other;
        self.files += files;
        self.bytes = self.bytes.saturating_add(bytes);
        self.more += more;
        for (arch, count) in elf {
            *self.elf.entry(arch).or_default() += count;
        }
        for (why, count) in skipped {
            *self.skipped.entry(why).or_default() += count;
        }
        self.serve(served);
        for (places, group) in groups {
            for (path, (arch, within)) in group.files {
                self.keep(places.clone(), path, arch, within);
            }
            match self.groups.get_mut(&places) {
                Some(mine) => mine.more += group.more,
                None => self.more += group.more,
            }
        }
    }

    /// The whole tree was seen.
    #[must_use]
    pub fn finish(self, surroundings: &Surroundings) -> Audit {
        let Surroundings {
            programs,
            library_dirs,
        } = surroundings;
        let mut more_foreign = self.more;
        let mut found = BTreeMap::new();
        for (places, group) in self.groups {
            if places.iter().any(|place| self.served.contains(place)) {
                continue;
            }
            more_foreign += group.more;
            for (path, (arch, within)) in group.files {
                let role = role::role(&path, within, library_dirs);
                found.insert(path, (arch, role));
            }
        }
        for program in programs {
            if program.elf.is_foreign(self.expected) {
                found.insert(program.path.clone(), (program.elf.arch, Role::Main));
            }
        }
        let mut foreign: Vec<_> = found
            .into_iter()
            .map(|(path, (arch, role))| Foreign {
                path: escape(&path),
                arch,
                role,
            })
            .collect();
        foreign.sort_by_key(|file| file.role);
        more_foreign += foreign.len().saturating_sub(self.room.foreign) as u64;
        foreign.truncate(self.room.foreign);
        let mut elf: Vec<_> = self.elf.into_iter().collect();
        elf.sort_by_key(|(arch, _)| arch.to_string());
        Audit {
            expected: self.expected,
            files: self.files,
            bytes: self.bytes,
            elf,
            main: programs
                .first()
                .map(|program| (escape(&program.path), program.elf.arch)),
            foreign,
            more_foreign,
            skipped: self.skipped.into_iter().collect(),
        }
    }

    fn count(&mut self, arch: Arch) {
        *self.elf.entry(arch).or_default() += 1;
    }

    fn serve(&mut self, places: impl IntoIterator<Item = u64>) {
        for place in places {
            if self.served.len() < MAX_PLACES {
                self.served.insert(place);
            }
        }
    }

    fn foreign(&mut self, path: Vec<u8>, arch: Arch, within: Within) {
        self.keep(sibling::places(&path, arch), path, arch, within);
    }

    fn keep(&mut self, places: Vec<u64>, path: Vec<u8>, arch: Arch, within: Within) {
        let room = if places.is_empty() {
            self.room.foreign
        } else {
            self.room.foreign.min(MAX_IN_PLACE)
        };
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&places) {
            self.more += 1;
            return;
        }
        let group = self.groups.entry(places).or_default();
        let len = path.len();
        if self.kept + len > self.room.bytes {
            group.more += 1;
            return;
        }
        if let Entry::Vacant(entry) = group.files.entry(path) {
            entry.insert((arch, within));
            self.kept += len;
        }
        if group.files.len() > room
            && let Some((path, _)) = group.files.pop_last()
        {
            group.more += 1;
            self.kept -= path.len();
        }
    }
}

/// The ABI of 32-bit pointers on the same CPUs.
fn x32(arch: Arch) -> Option<Arch> {
    (arch == Arch::Amd64).then_some(Arch::Amd64p32)
}

#[cfg(test)]
mod tests;
