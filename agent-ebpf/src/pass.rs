//! A pass of an exec: the kernel has read the first bytes of the next file in the chain.

use archtrace_ebpf::abi::{CellKey, FLIGHT_PATH_LEN, Flight, INTERP_LEN, path_kind, stat};
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str};

use crate::kernel::{Head, Read, current, file_id, file_size, is_childs_of_agent};
use crate::state::{
    FLIGHTS, Slot, anything_alive, config, count, one_less_alive, one_more_alive, scratch,
};
use crate::{record, walk};

/// Remembers the first file of a chain that is not for this CPU: if the exec succeeds with
/// another file in its place, it is the guest of an emulator; if it fails, it is why.
///
/// Returns the file's `e_machine` if it was remembered.
#[inline(always)]
pub(crate) fn on_pass<R: Read>(bprm: *const u8) -> Option<u16> {
    let head = Head::of::<R>(bprm);
    if head.is_native() {
        return None;
    }
    // SAFETY: the kernel passes a valid linux_binprm.
    let (filename, interp): (*const u8, *const u8) = unsafe {
        (
            R::get(bprm, config!(binprm_filename)),
            R::get(bprm, config!(binprm_interp)),
        )
    };
    let task = current();
    let first_pass = filename == interp;
    if first_pass && anything_alive() {
        // Left over from an exec whose end was not seen; it says nothing about this one.
        forget(task);
    }
    if !head.is_elf() {
        return None;
    }
    if is_childs_of_agent() {
        count(stat::PROVEN_HEADER);
        return None;
    }
    if !first_pass && FLIGHTS.get_ptr(task).is_some() {
        return None;
    }
    remember::<R>(task, bprm, head, filename, interp, first_pass);
    Some(head.machine)
}

/// The key under which a guest that was remembered is counted.
#[inline(always)]
pub(crate) fn key_of(flight: *const Flight, cgroup: u64, mode: u8) -> CellKey {
    // SAFETY: a map value that only this task's own events write.
    unsafe {
        CellKey {
            cgroup,
            inode: (*flight).inode,
            dev: (*flight).dev,
            machine: (*flight).machine,
            mode,
            ident: (*flight).ident,
        }
    }
}

/// Forgets a guest: its exec has ended.
#[inline(always)]
pub(crate) fn forget(task: u64) {
    if FLIGHTS.remove(task).is_ok() {
        one_less_alive();
    }
}

#[inline(always)]
fn remember<R: Read>(
    task: u64,
    bprm: *const u8,
    head: Head,
    filename: *const u8,
    interp: *const u8,
    first_pass: bool,
) {
    let Some(scratch) = scratch(Slot::Pass) else {
        return;
    };
    // SAFETY: a per-CPU map value that only this program uses while it runs; the file is held by
    // the exec; strings are read with bounds.
    let inserted = unsafe {
        let file: *const u8 = R::get(bprm, config!(binprm_file));
        let id = file_id::<R>(file);
        let flight = &raw mut (*scratch).flight;
        (*flight).inode = id.inode;
        (*flight).dev = id.dev;
        (*flight).machine = head.machine;
        (*flight).ident = head.ident;
        (*flight).path_kind = path_kind::NONE;
        (*flight).path_len = 0;
        (*flight).size = file_size(file);
        let buf = bprm.add(config!(binprm_buf) as usize);
        let bytes = &raw mut (*flight).head;
        bpf_probe_read_kernel(bytes.cast(), size_of_val(&*bytes) as u32, buf.cast());
        let out: *mut u8 = (&raw mut (*flight).path).cast();
        let name = if first_pass { filename } else { interp };
        let got = bpf_probe_read_kernel_str(out.cast(), INTERP_LEN as u32, name.cast());
        if got > 0 && got <= INTERP_LEN as i64 {
            if record::needs_walk(out) {
                let walked = walk::components::<FLIGHT_PATH_LEN>(file, out);
                (*flight).path_kind = walked.kind;
                (*flight).path_len = walked.len as u32;
            } else if !first_pass {
                (*flight).path_kind = path_kind::GIVEN;
                (*flight).path_len = got as u32 - 1;
            }
        }
        FLIGHTS.insert(task, &*flight, u64::from(BPF_ANY)).is_ok()
    };
    if inserted {
        one_more_alive();
    } else {
        count(stat::LOST_FLIGHT);
    }
}
