//! Tasks that run emulated code: who they are and what CPU time they used.
//!
//! A task counts from its exec (or from its birth, as a child of one) until it is freed:
//! `sched_process_exit` comes before the last slice and the teardown of the address space.

use archtrace_ebpf::abi::{CellKey, ForeignCell, TrackedTask, mode, stat};
use aya_ebpf::bindings::BPF_NOEXIST;

use crate::kernel::Read;
use crate::state::{FOREIGN, TASKS, config, count, one_less_alive, one_more_alive};
use crate::{cells, pass};

/// A task starts to count for `key`.
#[inline(always)]
pub(crate) fn begin(task: u64, key: CellKey, base_ns: u64, leader: bool) {
    if let Some(stale) = TASKS.get_ptr_mut(task) {
        // The address of a task whose end was not seen.
        // SAFETY: a map value that only this task's own events write.
        let (key, leader) = unsafe { ((*stale).key, (*stale).leader) };
        forget(task, key, leader);
    }
    // What is taken away at the end is what was added now: a cell that is made meanwhile, because
    // the map was full, knows nothing of this task.
    let cell = FOREIGN.get_ptr_mut(key);
    let leader = leader && cell.is_some();
    let entry = TrackedTask {
        key,
        base_ns,
        live_ns: 0,
        leader: u32::from(leader),
        _pad: 0,
    };
    if TASKS.insert(task, entry, u64::from(BPF_NOEXIST)).is_err() {
        count(stat::LOST_TASK);
        return;
    }
    one_more_alive();
    if leader && let Some(cell) = cell {
        cells::add_process(cell, 1);
    }
}

/// A task does not count any more: it was freed, or it executes something else.
#[inline(always)]
pub(crate) fn end<R: Read>(task: *const u8) {
    let Some(entry) = TASKS.get_ptr_mut(task as u64) else {
        return;
    };
    // SAFETY: a map value that only this task's own events write; the task is alive.
    let (key, base_ns, leader) = unsafe { ((*entry).key, (*entry).base_ns, (*entry).leader) };
    if let Some(cell) = FOREIGN.get_ptr_mut(key) {
        cells::add_cpu(cell, runtime::<R>(task).wrapping_sub(base_ns));
    }
    forget(task as u64, key, leader);
}

#[inline(always)]
fn forget(task: u64, key: CellKey, leader: u32) {
    if TASKS.remove(task).is_err() {
        return;
    }
    one_less_alive();
    if leader != 0
        && let Some(cell) = FOREIGN.get_ptr_mut(key)
    {
        cells::add_process(cell, -1);
    }
}

/// A task that counts for an emulator counts for its guest, `key` with `cell`, from now on, with all
/// that it has used.
#[inline(always)]
pub(crate) fn change_key(entry: *mut TrackedTask, key: CellKey, cell: *mut ForeignCell) {
    // SAFETY: a map value; the agent lets one iterator run at a time, and an exec or end that comes
    // in between sees either key.
    unsafe {
        if (*entry).key.mode != mode::DIRECT {
            return;
        }
        if (*entry).leader != 0
            && let Some(before) = FOREIGN.get_ptr_mut((*entry).key)
        {
            cells::add_process(before, -1);
            cells::add_process(cell, 1);
        }
        (*entry).key = key;
    }
}

/// A task was born; it inherits emulation.
#[inline(always)]
pub(crate) fn inherit<R: Read>(parent: *const u8, child: *const u8) {
    let Some(entry) = TASKS.get_ptr_mut(parent as u64) else {
        return;
    };
    // SAFETY: as in `end`; parent and child are alive while this event is handled.
    let (key, pid, tgid): (_, u32, u32) = unsafe {
        (
            (*entry).key,
            R::get(child, config!(task_pid)),
            R::get(child, config!(task_tgid)),
        )
    };
    begin(child as u64, key, 0, pid == tgid);
}

/// A task is gone.
#[inline(always)]
pub(crate) fn freed<R: Read>(task: *const u8) {
    end::<R>(task);
    // An exec that ended without our seeing it, such as one that killed its process.
    pass::forget(task as u64);
}

/// `se.sum_exec_runtime`, in nanoseconds.
#[inline(always)]
pub(crate) fn runtime<R: Read>(task: *const u8) -> u64 {
    // SAFETY: the task is alive while a program runs that was handed it.
    unsafe { R::get(task, config!(task_runtime)) }
}
