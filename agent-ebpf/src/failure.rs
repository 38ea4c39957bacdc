//! An exec that the kernel refused.

use archtrace_ebpf::abi::{CellKey, Flight, ident, mode, path_kind, stat};
use aya_ebpf::helpers::generated::bpf_get_current_cgroup_id;

use crate::cells::Due;
use crate::kernel::{FileId, Head, Read, current, file_id, is_childs_of_agent};
use crate::record::{Facts, Name, Start};
use crate::state::{FLIGHTS, Slot, config, count, scratch};
use crate::{cells, names, pass, record};

const ENOENT: i64 = -2;
const ENOEXEC: i64 = -8;
const ELIBBAD: i64 = -80;

/// `bprm_execve` returned `ret`; `bprm` is as it left it.
///
/// Only what says something about the file is told: ENOEXEC, ELIBBAD, and ENOENT after a file was
/// read (its interpreter is missing). A plain not-found is what every search along PATH makes.
///
/// Whether it was a refusal at all.
#[inline(always)]
pub(crate) fn on_return<R: Read>(bprm: *const u8, ret: i64) -> bool {
    if ret >= 0 {
        return false;
    }
    let task = current();
    if is_childs_of_agent() {
        count(stat::PROVEN_FAILURE);
        return true;
    }
    let head = Head::of::<R>(bprm);
    if ret == ENOEXEC || ret == ELIBBAD || (ret == ENOENT && head.magic != 0) {
        refused::<R>(task, bprm, head, (-ret) as i32);
    }
    pass::forget(task);
    true
}

/// The same where only the system call's return is seen: no file, and the name as it was given.
/// Whether ENOENT means a plain not-found or a missing interpreter, only the agent can find out.
#[inline(always)]
pub(crate) fn on_syscall_return(filename: *const u8, ret: i64) {
    let task = current();
    // With the header hook, a foreign file in flight says that a file was opened.
    let opened = config!(header_hook) != 0 && FLIGHTS.get_ptr(task).is_some();
    if ret != ENOEXEC && ret != ELIBBAD && !(ret == ENOENT && opened) {
        if opened {
            pass::forget(task);
        } else if ret == ENOENT && config!(header_hook) == 0 {
            not_found(filename);
        }
        return;
    }
    if is_childs_of_agent() {
        count(stat::PROVEN_FAILURE);
        return;
    }
    // SAFETY: no arguments, no preconditions.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    let mut counted = None;
    if config!(header_hook) != 0
        && let Some(flight) = FLIGHTS.get_ptr(task)
    {
        let name = match flight_name(flight, filename) {
            Name::Kernel { string, .. } => Name::User(string),
            name => name,
        };
        counted = Some((pass::key_of(flight, cgroup, mode::FAILED), name));
    }
    let (key, name) = match counted {
        Some(counted) => counted,
        None => {
            let Some(scratch) = scratch(Slot::Failure) else {
                return;
            };
            let inode = names::hash_user(scratch, config!(hash_seed), filename);
            (hashed_key(cgroup, inode), Name::User(filename))
        }
    };
    let (due, errno) = (cells::exec(&key), (-ret) as i32);
    tell(due, key, errno, Start::Unknown, core::ptr::null(), name);
    pass::forget(task);
}

/// The key of a file that was not seen: `inode` is a hash of its name.
#[inline(always)]
fn hashed_key(cgroup: u64, inode: u64) -> CellKey {
    CellKey {
        cgroup,
        inode,
        dev: 0,
        machine: 0,
        mode: mode::FAILED,
        ident: ident::HASHED,
    }
}

/// ENOENT, and nothing was seen of the file. Every search along PATH makes some of these, so that they
/// have a map of their own, where the least recent ones make room.
#[inline(always)]
fn not_found(filename: *const u8) {
    let Some(scratch) = scratch(Slot::Failure) else {
        return;
    };
    // Apart from other failures of the same name.
    let inode = names::hash_user(scratch, !config!(hash_seed), filename);
    // SAFETY: no arguments, no preconditions.
    let key = hashed_key(unsafe { bpf_get_current_cgroup_id() }, inode);
    let due = cells::not_found(&key);
    let name = Name::User(filename);
    let errno = -ENOENT as i32;
    tell(due, key, errno, Start::Unknown, core::ptr::null(), name);
}

#[inline(always)]
fn refused<R: Read>(task: u64, bprm: *const u8, head: Head, errno: i32) {
    // SAFETY: the kernel frees linux_binprm only after bprm_execve has returned.
    let (filename, interp, file): (*const u8, *const u8, *const u8) = unsafe {
        (
            R::get(bprm, config!(binprm_filename)),
            R::get(bprm, config!(binprm_interp)),
            R::get(bprm, config!(binprm_file)),
        )
    };
    // SAFETY: no arguments, no preconditions.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    let interpreted = if interp == filename {
        core::ptr::null()
    } else {
        interp
    };
    let (key, start, name) = match FLIGHTS.get_ptr(task) {
        Some(flight) => (
            pass::key_of(flight, cgroup, mode::FAILED),
            Start::Flight(flight),
            flight_name(flight, filename),
        ),
        None => {
            let FileId { inode, dev } = file_id::<R>(file);
            let Head { machine, ident, .. } = head;
            let key = CellKey {
                cgroup,
                inode,
                dev,
                machine,
                mode: mode::FAILED,
                ident,
            };
            // The last file that was read: the script itself if its interpreter was not opened.
            let string = if head.is_script() { filename } else { interp };
            (key, Start::Pass(bprm), Name::Kernel { string, file })
        }
    };
    tell(cells::exec(&key), key, errno, start, interpreted, name);
}

/// The name of a guest that was remembered; `filename` where that says it.
#[inline(always)]
fn flight_name(flight: *const Flight, filename: *const u8) -> Name {
    // SAFETY: a map value that only this task's own events write.
    if unsafe { (*flight).path_kind } == path_kind::NONE {
        Name::Kernel {
            string: filename,
            file: core::ptr::null(),
        }
    } else {
        Name::Flight(flight)
    }
}

#[inline(always)]
fn tell(due: Option<Due>, key: CellKey, errno: i32, head: Start, interp: *const u8, name: Name) {
    if let Some(due) = due {
        let facts = Facts {
            key,
            count: due.count,
            errno,
            head,
            interp,
            name,
        };
        if record::send(Slot::Failure, &facts) {
            cells::told(due.sent_ns);
        }
    }
}
