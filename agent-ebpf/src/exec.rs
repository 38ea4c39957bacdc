//! An exec that succeeded.

use archtrace_ebpf::abi::{CellKey, ident, mode, path_kind};
use aya_ebpf::helpers::generated::bpf_get_current_cgroup_id;

use crate::kernel::{FileId, Head, Read, file_id};
use crate::record::{Facts, Name};
use crate::state::{FLIGHTS, INTERPRETERS, Slot, anything_alive, config, scratch};
use crate::{cells, names, pass, record, tasks};

/// `sched_process_exec`: the new program is in place. The common case, a native binary, ends at
/// one look-up.
#[inline(always)]
pub(crate) fn on_exec<R: Read>(task: *const u8, bprm: *const u8) {
    if anything_alive() {
        tasks::end::<R>(task);
    }
    // SAFETY: the kernel passes a valid linux_binprm whose file is open.
    let (filename, interp, file): (*const u8, *const u8, *const u8) = unsafe {
        (
            R::get(bprm, config!(binprm_filename)),
            R::get(bprm, config!(binprm_interp)),
            R::get(bprm, config!(binprm_file)),
        )
    };
    let seen = Exec { task, bprm, filename, interp, file, running: file_id::<R>(file) };
    if filename != interp {
        let handled = if config!(header_hook) != 0 {
            with_passes::<R>(&seen)
        } else {
            without_passes::<R>(&seen)
        };
        if handled {
            return;
        }
    } else if config!(header_hook) != 0 && anything_alive() {
        // A foreign file that the kernel runs by itself: compat, counted below.
        pass::forget(task as u64);
    }
    direct::<R>(&seen);
}

struct Exec {
    task: *const u8,
    bprm: *const u8,
    filename: *const u8,
    interp: *const u8,
    file: *const u8,
    running: FileId,
}

/// The CPU runs the file itself, be it a script's interpreter.
#[inline(always)]
fn direct<R: Read>(exec: &Exec) {
    let head = Head::of::<R>(exec.bprm);
    let native = head.is_native() || !head.is_elf();
    // SAFETY: no arguments, no preconditions.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    let key = CellKey {
        cgroup,
        inode: exec.running.inode,
        dev: exec.running.dev,
        machine: head.machine,
        mode: if native { mode::NATIVE } else { mode::COMPAT },
        ident: head.ident,
    };
    // Of a script, the interpreter is what runs: it gives the name.
    let name = Name::Kernel { string: exec.interp, file: exec.file };
    if native {
        if let Some(cell) = cells::native(&key)
            && send(exec, key, core::ptr::null(), name)
        {
            cells::native_told(cell);
        }
    } else if let Some(cell) = cells::foreign(&key)
        && send(exec, key, core::ptr::null(), name)
    {
        cells::foreign_told(cell);
    }
}

/// Something was put in front, and the passes were seen: was it in front of a foreign file?
#[inline(always)]
fn with_passes<R: Read>(exec: &Exec) -> bool {
    let task = exec.task as u64;
    let Some(flight) = FLIGHTS.get_ptr(task) else { return false };
    // SAFETY: a map value that only this task's own events write.
    let (guest, kind) = unsafe {
        (FileId { inode: (*flight).inode, dev: (*flight).dev }, (*flight).path_kind)
    };
    if guest == exec.running {
        // A script whose interpreter is of the 32-bit kind, and runs.
        pass::forget(task);
        return false;
    }
    // SAFETY: no arguments, no preconditions.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    let key = pass::key_of(flight, cgroup, mode::EMULATED);
    if let Some(cell) = cells::foreign(&key) {
        let name = if kind == path_kind::NONE {
            Name::Kernel { string: exec.filename, file: core::ptr::null() }
        } else {
            Name::Flight(flight)
        };
        if send(exec, key, exec.interp, name) {
            cells::foreign_told(cell);
        }
    }
    tasks::begin(task, key, tasks::runtime::<R>(exec.task), true);
    pass::forget(task);
    true
}

/// Something was put in front, and the file itself is out of sight (tracepoints only). What the
/// agent said of the interpreter decides; if it said nothing yet, the agent is asked.
#[inline(always)]
fn without_passes<R: Read>(exec: &Exec) -> bool {
    let Some(scratch) = scratch(Slot::Exec) else { return false };
    let seed = config!(hash_seed);
    // SAFETY: no arguments, no preconditions; a plain value, written by the agent.
    let (interp_hash, interpreter, cgroup) = unsafe {
        let hash = names::hash_kernel(scratch, seed, exec.interp);
        (hash, INTERPRETERS.get(hash).copied(), bpf_get_current_cgroup_id())
    };
    if interpreter.is_some_and(|known| known.emulator == 0) {
        return false;
    }
    // The interpreter's hash as the seed: the two names together.
    let inode = names::hash_kernel(scratch, interp_hash, exec.filename);
    let (mode, machine, ident) = match interpreter {
        Some(known) => (mode::EMULATED, known.machine, known.ident),
        None => (mode::INTERPRETED, 0, 0),
    };
    let key = CellKey { cgroup, inode, dev: 0, machine, mode, ident: ident | ident::HASHED };
    if let Some(cell) = cells::foreign(&key) {
        let name = Name::Kernel { string: exec.filename, file: core::ptr::null() };
        if send(exec, key, exec.interp, name) {
            cells::foreign_told(cell);
        }
    }
    if mode == mode::EMULATED {
        tasks::begin(exec.task as u64, key, tasks::runtime::<R>(exec.task), true);
    }
    true
}

#[inline(always)]
fn send(exec: &Exec, key: CellKey, interp: *const u8, name: Name) -> bool {
    let Exec { bprm, running, .. } = *exec;
    record::send(Slot::Exec, &Facts { key, running, errno: 0, bprm, interp, name })
}
