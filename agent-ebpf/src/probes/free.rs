//! `sched_process_free(task)`: the task's accounts are closed (delayed_put_task_struct,
//! kernel/exit.c).

use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};

use crate::kernel::{Probed, Typed};
use crate::state::anything_alive;
use crate::tasks::freed;

#[btf_tracepoint(function = "sched_process_free")]
fn free_typed(ctx: BtfTracePointContext) -> i32 {
    if anything_alive() {
        freed::<Typed>(ctx.arg(0));
    }
    0
}

#[raw_tracepoint(tracepoint = "sched_process_free")]
fn free_probed(ctx: RawTracePointContext) -> i32 {
    if anything_alive() {
        freed::<Probed>(ctx.arg(0));
    }
    0
}
