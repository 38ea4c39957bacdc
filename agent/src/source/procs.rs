//! Processes that ran emulated before the agent came.
//!
//! A process that came through `binfmt_misc` was started as one file and runs another: the auxiliary
//! vector's `AT_EXECFN` (getauxval(3)) names the first, `/proc/<pid>/exe` is the second. Nothing
//! else of its memory is read, and no arguments at all.

use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use archtrace_ebpf::abi::{CellKey, mode};
use archtrace_facts::arch::Arch;
use archtrace_facts::binfmt::Rule;
use archtrace_facts::elf::{Head, Ident, shebang};
use archtrace_facts::fact::{FactKey, Mode};
use archtrace_facts::text::escape;
use procfs::process::{Process, all_processes_with_root};

use super::interpreters::ident_bits;
use crate::enrich::cgroup::Cgroups;
use crate::enrich::files::{Found, read_head, read_linked};
use crate::enrich::path::{self, Name};

/// One that was found.
pub(crate) struct Emulated {
    /// Thread group id.
    pub(crate) pid: u32,
    /// The counter it goes to from now on.
    pub(crate) cell: CellKey,
    /// Its name.
    pub(crate) key: FactKey,
}

/// `AT_EXECFN` (<elf.h>).
const AT_EXECFN: u64 = 31;
/// `PATH_MAX`.
const PATH_MAX: usize = 4096;

/// Looks at all processes. Those that vanish meanwhile, or may not be looked at, are left out.
pub(crate) fn emulated(
    proc: &Path,
    node: Arch,
    rules: &[Rule],
    cgroups: &mut Cgroups,
) -> Vec<Emulated> {
    let processes = match all_processes_with_root(proc) {
        Ok(processes) => processes,
        Err(error) => {
            tracing::warn!(%error, "processes older than the agent are not seen");
            return Vec::new();
        }
    };
    processes
        .flatten()
        .filter_map(|process| look_at(proc, &process, node, rules, cgroups))
        .collect()
}

fn look_at(
    proc: &Path,
    process: &Process,
    node: Arch,
    rules: &[Rule],
    cgroups: &mut Cgroups,
) -> Option<Emulated> {
    let pid = u32::try_from(process.pid()).ok()?;
    let exe = proc.join(pid.to_string()).join("exe");
    let running = read_linked(&exe)?;
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
    let (cgroup, cgroup_path) = cgroups.of(pid).unwrap_or_default();
    let emulator = rules
        .iter()
        .find(|rule| rule.claims(&found.head))
        .map(|rule| escape(&rule.interpreter))
        .or_else(|| {
            std::fs::read_link(&exe)
                .ok()
                .map(|path| escape(path.as_os_str().as_bytes()))
        });
    Some(Emulated {
        pid,
        cell: CellKey {
            cgroup,
            inode: found.inode,
            dev: kernel_dev(found.dev),
            machine: ident.machine,
            mode: mode::EMULATED,
            ident: ident_bits(ident),
        },
        key: FactKey {
            cgroup: cgroup_path,
            binary: escape(name.path.as_os_str().as_bytes()),
            path_resolved: name.resolved,
            arch: Arch::of(ident),
            mode: Mode::Emulated,
            emulator,
            cause: None,
        },
    })
}

/// The ELF file that was meant to run: the file itself, or a script's interpreter.
fn guest(proc: &Path, pid: u32, name: Name) -> Option<(Name, Found, Ident)> {
    let found = read_head(proc, pid, &name.path)?;
    if let Head::Elf(ident) = Head::of(&found.head) {
        return Some((name, found, ident));
    }
    let interpreter = PathBuf::from(std::ffi::OsStr::from_bytes(shebang(&found.head)?));
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
