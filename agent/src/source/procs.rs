//! Processes that ran emulated before the agent came.
//!
//! A process that came through `binfmt_misc` was started as one file and runs another: the auxiliary
//! vector's `AT_EXECFN` (getauxval(3)) names the first, `/proc/<pid>/exe` is the second. Nothing
//! else of its memory is read, and no arguments at all.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use archtrace_facts::arch::Arch;
use archtrace_facts::elf::{Head, Ident, shebang};
use procfs::process::{Process, all_processes_with_root};

use crate::enrich::files::{Found, read_head, read_linked};
use crate::enrich::path::{self, Name};

/// What a process runs.
#[derive(Debug)]
pub(crate) struct Old {
    /// Its executable, if that can be read.
    pub(crate) exe: PathBuf,
    /// Inode and device (in the kernel's own encoding) of its executable.
    pub(crate) exe_file: (u64, u32),
    /// Name of its main thread.
    pub(crate) comm: Vec<u8>,
    /// What it was started as, if another file of another machine runs in its place.
    pub(crate) guest: Option<OldGuest>,
}

/// A guest that an emulator runs.
#[derive(Debug)]
pub(crate) struct OldGuest {
    pub(crate) name: Name,
    pub(crate) inode: u64,
    /// In the kernel's own encoding.
    pub(crate) dev: u32,
    pub(crate) ident: Ident,
    /// First bytes of its file.
    pub(crate) start: Vec<u8>,
}

/// `AT_EXECFN` (<elf.h>).
const AT_EXECFN: u64 = 31;
/// `PATH_MAX`.
const PATH_MAX: usize = 4096;

/// The ids of all processes.
pub(crate) fn all(proc: &Path) -> Vec<u32> {
    match all_processes_with_root(proc) {
        Ok(processes) => processes
            .flatten()
            .filter_map(|process| u32::try_from(process.pid()).ok())
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "processes older than the agent are not seen");
            Vec::new()
        }
    }
}

/// Looks at a process; `None` if it has vanished, has no executable, or may not be looked at. Reads
/// files of its container: to be called by a thread that may hang.
pub(crate) fn look_at(proc: &Path, node: Arch, pid: u32) -> Option<Old> {
    let directory = proc.join(pid.to_string());
    let exe = directory.join("exe");
    let running = read_linked(&exe)?;
    let process = Process::new_with_root(directory.clone()).ok()?;
    Some(Old {
        exe: std::fs::read_link(&exe).ok()?,
        exe_file: (running.inode, kernel_dev(running.dev)),
        comm: std::fs::read(directory.join("comm"))
            .ok()?
            .trim_ascii_end()
            .to_vec(),
        guest: old_guest(proc, node, pid, &process, &running),
    })
}

fn old_guest(
    proc: &Path,
    node: Arch,
    pid: u32,
    process: &Process,
    running: &Found,
) -> Option<OldGuest> {
    let given = exec_name(process)?;
    let name = path::resolve(
        proc,
        pid,
        path::read(archtrace_ebpf::abi::path_kind::GIVEN, &given),
    );
    let (name, found, ident) = guest(proc, pid, name)?;
    // A program that was replaced by an upgrade while it runs is another file than its name leads
    // to, but of the same machine.
    let same_file = (found.inode, found.dev) == (running.inode, running.dev);
    let same_machine = Head::of(&running.head).ident().map(Arch::of) == Some(Arch::of(ident));
    if same_file || same_machine || Arch::of(ident) == node {
        return None;
    }
    Some(OldGuest {
        name,
        inode: found.inode,
        dev: kernel_dev(found.dev),
        ident,
        start: found.head,
    })
}

/// The ELF file that was meant to run: the file itself, or a script's interpreter.
fn guest(proc: &Path, pid: u32, name: Name) -> Option<(Name, Found, Ident)> {
    let found = read_head(proc, pid, &name.path)?;
    if let Head::Elf(ident) = Head::of(&found.head) {
        return Some((name, found, ident));
    }
    let interpreter = PathBuf::from(OsStr::from_bytes(shebang(&found.head)?));
    let inner = read_head(proc, pid, &interpreter)?;
    let ident = Head::of(&inner.head).ident()?;
    let resolved = interpreter.is_absolute();
    Some((
        Name {
            path: interpreter,
            resolved,
        },
        inner,
        ident,
    ))
}

/// The name that was given to `execve`: one string on the process's stack.
fn exec_name(process: &Process) -> Option<Vec<u8>> {
    let address = *process.auxv().ok()?.get(&AT_EXECFN)?;
    let memory: File = process.open_relative("mem").ok()?;
    let mut name = vec![0; PATH_MAX];
    // The string ends near the end of the stack, so that less than PATH_MAX may be there.
    let read = memory.read_at(&mut name, address).ok()?;
    name.truncate(read);
    let end = name.iter().position(|byte| *byte == 0)?;
    name.truncate(end);
    Some(name)
}

/// stat(2)'s device number as the kernel keeps it: major << 20 | minor (`MKDEV`, include/linux/kdev_t.h).
fn kernel_dev(dev: u64) -> u32 {
    let (major, minor) = (nix::sys::stat::major(dev), nix::sys::stat::minor(dev));
    u32::try_from(major << 20 | minor).unwrap_or(0)
}
