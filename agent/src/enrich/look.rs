//! What is to be found out about a process or its files; the answers to questions that the watching
//! side asks a [`super::reader::Reader`].

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archtrace_facts::arch::Arch;
use archtrace_facts::elf::header::{ET_EXEC, Header, PT_INTERP};
use archtrace_facts::elf::{Head, Ident, shebang};
use archtrace_facts::maps;

use super::clock::Clock;
use super::files::{self, Found};
use super::path::Name;
use crate::source::procs;

/// A file that somebody wanted to execute.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) name: Name,
    /// Its first bytes.
    pub(crate) start: Vec<u8>,
    /// Its length in bytes.
    pub(crate) size: u64,
}

/// Processes that are tried in the place of one that is gone: some may not be looked at.
const MAX_NEIGHBOURS: usize = 8;

/// Processes of the cgroup whose `cgroup.procs` this is: they see the same files as others of their
/// container.
pub(crate) fn neighbours(procs: Option<&Path>) -> Vec<u32> {
    let list = procs.and_then(|procs| std::fs::read_to_string(procs).ok());
    let list = list.unwrap_or_default();
    let pids = list.lines().filter_map(|pid| pid.parse().ok());
    pids.take(MAX_NEIGHBOURS).collect()
}

/// Looks at the file `name`, as process `pid` sees it, or if that is gone, another process of the
/// same container. Of a script that leads to a foreign interpreter, the interpreter is the guest.
pub(crate) fn guest(
    proc: &Path,
    node: Arch,
    pid: u32,
    procs: Option<&Path>,
    name: Name,
) -> Option<Guest> {
    let look = |pid| Some((pid, files::read_head(proc, pid, &name.path)?));
    let (pid, found) = match look(pid) {
        Some(found) => found,
        None if name.resolved => neighbours(procs).into_iter().find_map(look)?,
        None => return None,
    };
    if let Some((name, found)) = foreign_interpreter(proc, node, pid, &found) {
        return Some(Guest::new(name, found));
    }
    Some(Guest::new(name, found))
}

impl Guest {
    fn new(name: Name, found: Found) -> Self {
        Self {
            name,
            start: found.head,
            size: found.size,
        }
    }
}

fn foreign_interpreter(proc: &Path, node: Arch, pid: u32, script: &Found) -> Option<(Name, Found)> {
    let path = PathBuf::from(OsStr::from_bytes(shebang(&script.head)?));
    let found = files::read_head(proc, pid, &path)?;
    let foreign = Head::of(&found.head)
        .ident()
        .is_some_and(|ident| Arch::of(ident) != node);
    let resolved = path.is_absolute();
    foreign.then_some((Name { path, resolved }, found))
}

/// What an emulator has mapped.
#[derive(Debug)]
pub(crate) enum Mapped {
    /// The process is gone.
    Gone,
    /// No ELF file of another machine.
    NoGuest,
    /// It executes something else now, which came by `binfmt_misc` and is told as that.
    Replaced,
    /// One.
    Guest(MappedGuest),
}

/// An ELF file of another machine that a process has mapped.
#[derive(Clone, Debug)]
pub(crate) struct MappedGuest {
    pub(crate) path: PathBuf,
    pub(crate) inode: u64,
    /// In the kernel's own encoding: major << 20 | minor.
    pub(crate) dev: u32,
    pub(crate) ident: Ident,
    /// The emulator: what `/proc/<pid>/exe` leads to.
    pub(crate) emulator: PathBuf,
}

/// Files that are looked into per process: a guest comes with its libraries.
const MAX_MAPPED: usize = 64;

/// So often it is looked anew where the process executed another file meanwhile.
const MAX_RENEWED: usize = 3;

/// Looks for a guest in what process `pid` has mapped, and says at what time of the kernel's monotonic
/// clock it had that mapped, in nanoseconds: the last exec before then is the guest's.
pub(crate) fn mapped(proc: &Path, node: Arch, pid: u32) -> (Mapped, u64) {
    // It holds addresses, which differ from exec to exec.
    let vector = || std::fs::read(proc.join(pid.to_string()).join("auxv")).ok();
    let mut now = 0;
    for _ in 0..MAX_RENEWED {
        let before = vector();
        let mapped = mapped_now(proc, node, pid);
        now = Clock::look().monotonic_before(Duration::ZERO);
        if !matches!(mapped, Mapped::Guest(_)) || vector() == before {
            return (mapped, now);
        }
    }
    (Mapped::NoGuest, now)
}

/// Among several files of another machine, a program that is no library is the guest, else the first.
fn mapped_now(proc: &Path, node: Arch, pid: u32) -> Mapped {
    if procs::look_at(proc, node, pid).is_some_and(|process| process.guest.is_some()) {
        return Mapped::Replaced;
    }
    let process = proc.join(pid.to_string());
    let (Ok(table), Ok(emulator)) = (
        std::fs::read(process.join("maps")),
        std::fs::read_link(process.join("exe")),
    ) else {
        return Mapped::Gone;
    };
    let mut files: Vec<maps::Mapping<'_>> = Vec::new();
    for mapping in maps::parse(&table) {
        let known = files
            .iter()
            .any(|file| (file.inode, file.dev) == (mapping.inode, mapping.dev));
        if mapping.inode != 0 && mapping.path.starts_with(b"/") && !known {
            files.push(mapping);
        }
    }
    let mut first = None;
    for file in files.iter().take(MAX_MAPPED) {
        let path = PathBuf::from(OsStr::from_bytes(&file.path));
        let Some(found) = files::read_start(proc, pid, &path, archtrace_facts::emulator::START_LEN)
        else {
            continue;
        };
        let Some(ident) = Head::of(&found.head).ident() else {
            continue;
        };
        if Arch::of(ident) == node || Arch::of(ident) == Arch::Unknown {
            continue;
        }
        let (major, minor) = file.dev;
        let guest = MappedGuest {
            path,
            inode: file.inode,
            dev: major << 20 | minor,
            ident,
            emulator: emulator.clone(),
        };
        if is_program(&found.head) {
            return Mapped::Guest(guest);
        }
        first = first.or(Some(guest));
    }
    first.map_or(Mapped::NoGuest, Mapped::Guest)
}

/// Whether an ELF file is started by itself: it has fixed addresses, or asks for an interpreter.
fn is_program(start: &[u8]) -> bool {
    Header::of(start).is_some_and(|header| {
        header.kind == ET_EXEC
            || header
                .segments(start)
                .any(|segment| segment.kind == PT_INTERP)
    })
}

/// Where in which file an instruction is.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The file, as its process sees it.
    pub(crate) module: Option<Vec<u8>>,
    /// In bytes from that file's start.
    pub(crate) offset: Option<u64>,
    /// What the executable's header says.
    pub(crate) ident: Option<Ident>,
}

/// A process that is about to die, or has died.
#[derive(Debug)]
pub(crate) struct Dying {
    pub(crate) pid: u32,
    /// `cgroup.procs` of its cgroup: others there see the same files.
    pub(crate) procs: Option<PathBuf>,
    /// Its executable.
    pub(crate) binary: PathBuf,
    /// Where the instruction is in memory.
    pub(crate) address: u64,
    /// First byte of the executable's code in memory, and the one behind its last.
    pub(crate) code: std::ops::Range<u64>,
}

/// Finds the place of an instruction: in the process's maps while it lives; afterwards only if it is
/// one of the executable itself.
pub(crate) fn place(proc: &Path, dying: &Dying) -> Place {
    let Dying {
        pid,
        procs,
        binary,
        address,
        code,
    } = dying;
    let start = |pid| {
        files::read_start(proc, pid, binary, archtrace_facts::emulator::START_LEN)
            .map(|found| found.head)
    };
    let others = || neighbours(procs.as_deref()).into_iter();
    let start = start(*pid).or_else(|| others().find_map(start));
    let ident = start.as_deref().and_then(|start| Head::of(start).ident());
    let table = std::fs::read(proc.join(pid.to_string()).join("maps")).unwrap_or_default();
    if let Some(mapping) = maps::at(&table, *address) {
        return Place {
            module: (mapping.inode != 0).then(|| mapping.path.to_vec()),
            offset: mapping.offset_of(*address),
            ident,
        };
    }
    if !code.contains(address) {
        return Place {
            ident,
            ..Place::default()
        };
    }
    let offset = start
        .as_deref()
        .and_then(|start| Header::of(start)?.code_offset(start, code.start, *address));
    Place {
        module: Some(binary.as_os_str().as_bytes().to_vec()),
        offset,
        ident,
    }
}
