//! `iter/task`: called for every task when the agent reads the iterator. Takes in tasks that were
//! emulated before the agent came, and samples the CPU time of those that are alive.

use archtrace_ebpf::abi::CellKey;
use core::ffi::c_void;

use crate::kernel::{Read as _, Typed};
use crate::state::{ADOPT, TASKS, config};
use crate::{cells, tasks};

/// `struct bpf_iter__task` (kernel/bpf/task_iter.c).
#[repr(C)]
struct Context {
    meta: *const u8,
    task: *const u8,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
fn iter_tasks(ctx: *mut c_void) -> i32 {
    // SAFETY: the kernel passes this type; the task is null once, at the end.
    let task = unsafe { (*ctx.cast::<Context>()).task };
    if !task.is_null() {
        on_task(task);
    }
    0
}

#[inline(always)]
fn on_task(task: *const u8) {
    let entry = TASKS.get_ptr_mut(task as u64);
    if let Some(entry) = entry {
        // SAFETY: a map value; `base_ns` is only written when the entry is made.
        unsafe { (*entry).live_ns = tasks::runtime::<Typed>(task).wrapping_sub((*entry).base_ns) };
    }
    // SAFETY: the task is held by the iterator.
    let (pid, tgid): (u32, u32) = unsafe {
        (
            Typed::get(task, config!(task_pid)),
            Typed::get(task, config!(task_tgid)),
        )
    };
    // SAFETY: a plain value, written by the agent before it reads the iterator.
    let Some(key): Option<CellKey> = (unsafe { ADOPT.get(tgid).copied() }) else {
        return;
    };
    let Some(cell) = cells::foreign_cell(&key) else {
        return;
    };
    match entry {
        Some(entry) => tasks::change_key(entry, key, cell),
        None => tasks::begin(task as u64, key, tasks::runtime::<Typed>(task), pid == tgid),
    }
}
