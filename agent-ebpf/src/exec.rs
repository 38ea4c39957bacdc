//! An exec that succeeded.

use archtrace_ebpf::abi::{CellKey, ident, mode, path_kind};
use aya_ebpf::helpers::generated::bpf_get_current_cgroup_id;

use crate::kernel::{FileId, Head, Read, current, file_id};
use crate::record::{Facts, Name, Start};
use crate::state::{
    FLIGHTS, INTERPRETERS, Slot, anything_alive, config, is_emulator, keeps_inside, scratch,
};
use crate::{cells, inside, names, pass, record, tasks};

/// `sched_process_exec`, the common case: a native binary that is known, while nothing emulated is
/// alive, is counted with one look. Whether it was that.
///
/// Apart from the rest, so that its instructions and what it reads are few cache lines: after an
/// exec all of them are cold.
#[inline(always)]
pub(crate) fn is_counted<R: Read>(bprm: *const u8) -> bool {
    if anything_alive() {
        return false;
    }
    // SAFETY: the kernel passes a valid linux_binprm whose file is open.
    let (filename, interp, file): (*const u8, *const u8, *const u8) = unsafe {
        (
            R::get(bprm, config!(binprm_filename)),
            R::get(bprm, config!(binprm_interp)),
            R::get(bprm, config!(binprm_file)),
        )
    };
    if config!(header_hook) == 0 && filename != interp {
        return false;
    }
    let key = direct_key(Head::of::<R>(bprm), file_id::<R>(file));
    if key.mode != mode::NATIVE || !cells::hot(&key.words()) {
        return false;
    }
    end_of_exec();
    true
}

/// `sched_process_exec`: the new program is in place.
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
    let seen = Exec {
        task,
        bprm,
        filename,
        interp,
        file,
        running: file_id::<R>(file),
    };
    let mut counted = None;
    if filename != interp {
        counted = if config!(header_hook) != 0 {
            with_passes(&seen)
        } else {
            without_passes(&seen)
        };
    }
    let Counted { key, interp, name } = match counted {
        Some(counted) => counted,
        None => direct::<R>(&seen),
    };
    if let Some(due) = cells::exec(&key) {
        let facts = Facts {
            key,
            count: due.count,
            errno: 0,
            head: Start::Pass(bprm),
            interp,
            name,
        };
        if record::send(Slot::Exec, &facts) {
            cells::told(due.sent_ns);
        }
    }
    if key.mode == mode::EMULATED || key.mode == mode::DIRECT {
        tasks::begin(task as u64, key, tasks::runtime::<R>(task), true);
    }
    if config!(header_hook) != 0 && anything_alive() {
        pass::forget(task as u64);
    }
    end_of_exec();
}

/// It succeeded, whether or not its return is seen.
#[inline(always)]
fn end_of_exec() {
    if keeps_inside() {
        // The verifier lets nobody reckon with the pointer that the hook hands over.
        let _ = inside::leave(current());
    }
}

struct Exec {
    task: *const u8,
    bprm: *const u8,
    filename: *const u8,
    interp: *const u8,
    file: *const u8,
    running: FileId,
}

/// What an exec is counted as.
struct Counted {
    key: CellKey,
    /// What was put in front, or null.
    interp: *const u8,
    name: Name,
}

/// The CPU runs the file itself, be it a script's interpreter.
#[inline(always)]
fn direct<R: Read>(exec: &Exec) -> Counted {
    let mut key = direct_key(Head::of::<R>(exec.bprm), exec.running);
    if key.mode == mode::NATIVE && is_emulator(key.inode, key.dev) {
        key.mode = mode::DIRECT;
    }
    // Of a script, the interpreter is what runs: it gives the name.
    let name = Name::Kernel {
        string: exec.interp,
        file: exec.file,
    };
    Counted {
        key,
        interp: core::ptr::null(),
        name,
    }
}

#[inline(always)]
fn direct_key(head: Head, running: FileId) -> CellKey {
    let native = head.is_native() || !head.is_elf();
    CellKey {
        cgroup: cgroup(),
        inode: running.inode,
        dev: running.dev,
        machine: head.machine,
        mode: if native { mode::NATIVE } else { mode::COMPAT },
        ident: head.ident,
    }
}

/// Something was put in front, and the passes were seen: was it in front of a foreign file?
#[inline(always)]
fn with_passes(exec: &Exec) -> Option<Counted> {
    let flight = FLIGHTS.get_ptr(exec.task as u64)?;
    // SAFETY: a map value that only this task's own events write.
    let (guest, kind) = unsafe {
        (
            FileId {
                inode: (*flight).inode,
                dev: (*flight).dev,
            },
            (*flight).path_kind,
        )
    };
    if guest == exec.running {
        // A script whose interpreter is of the 32-bit kind, and runs.
        return None;
    }
    let key = pass::key_of(flight, cgroup(), mode::EMULATED);
    let name = if kind == path_kind::NONE {
        Name::Kernel {
            string: exec.filename,
            file: core::ptr::null(),
        }
    } else {
        Name::Flight(flight)
    };
    Some(Counted {
        key,
        interp: exec.interp,
        name,
    })
}

/// Something was put in front, and the file itself is out of sight (tracepoints only). What the
/// agent said of the interpreter decides; if it said nothing yet, the agent is asked.
#[inline(always)]
fn without_passes(exec: &Exec) -> Option<Counted> {
    let scratch = scratch(Slot::Exec)?;
    let interp_hash = names::hash_kernel(scratch, config!(hash_seed), exec.interp);
    // SAFETY: a plain value, written by the agent.
    let interpreter = unsafe { INTERPRETERS.get(interp_hash).copied() };
    let (mode, machine, ident) = match interpreter {
        Some(known) if known.emulator == 0 => return None,
        Some(known) => (mode::EMULATED, known.machine, known.ident),
        None => (mode::INTERPRETED, 0, 0),
    };
    // The interpreter's hash as the seed: the two names together.
    let inode = names::hash_kernel(scratch, interp_hash, exec.filename);
    let ident = ident | ident::HASHED;
    let key = CellKey {
        cgroup: cgroup(),
        inode,
        dev: 0,
        machine,
        mode,
        ident,
    };
    let name = Name::Kernel {
        string: exec.filename,
        file: core::ptr::null(),
    };
    Some(Counted {
        key,
        interp: exec.interp,
        name,
    })
}

#[inline(always)]
fn cgroup() -> u64 {
    // SAFETY: no arguments, no preconditions.
    unsafe { bpf_get_current_cgroup_id() }
}
