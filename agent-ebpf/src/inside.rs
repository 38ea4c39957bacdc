//! Execs that are inside of `bprm_execve`: a kretprobe has no arguments, so that entry keeps them.
//!
//! Every exec comes by here twice, so it is a table with a place for each task and no hash map: a store and a
//! compare, where a map's insert and removal take some hundred instructions each.

use archtrace_ebpf::abi::slot_of;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;

/// Execs that can be inside at once without one taking another's place often: with 50, one in 20 does.
const SLOTS: u32 = 1024;

/// What was kept: `linux_binprm`, and with it whose it is.
#[repr(C)]
#[derive(Clone, Copy)]
struct Inside {
    bprm: u64,
    /// The task, xor `bprm`: of two who write at once, no half of one goes with a half of the other.
    sealed: u64,
}

/// By a hash of the task. Whoever comes later takes the place.
#[map]
static INSIDE: Array<Inside> = Array::with_max_entries(SLOTS, 0);

#[inline(always)]
fn slot(task: u64) -> Option<*mut Inside> {
    INSIDE.get_ptr_mut(slot_of(task, SLOTS))
}

/// An exec begins. Whether one of the same task had not ended as far as is known.
#[inline(always)]
pub(crate) fn enter(task: u64, bprm: u64) -> bool {
    let Some(slot) = slot(task) else {
        return false;
    };
    // SAFETY: a map value, which lives as long as the map; others may write at the same time, see `sealed`.
    unsafe {
        let before = slot.read_volatile();
        slot.write_volatile(Inside {
            bprm,
            sealed: task ^ bprm,
        });
        before.bprm ^ before.sealed == task
    }
}

/// An exec has ended. Its `linux_binprm`, unless another exec took its place.
#[inline(always)]
pub(crate) fn leave(task: u64) -> Option<u64> {
    let slot = slot(task)?;
    // SAFETY: as in `enter`.
    unsafe {
        let Inside { bprm, sealed } = slot.read_volatile();
        if bprm ^ sealed != task {
            return None;
        }
        slot.write_volatile(Inside { bprm: 0, sealed: 0 });
        Some(bprm)
    }
}
