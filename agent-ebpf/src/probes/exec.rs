//! `sched_process_exec(task, old_pid, bprm)`, include/trace/events/sched.h.

use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};

use crate::exec::{is_counted, on_exec};
use crate::kernel::{Probed, Typed};

#[btf_tracepoint(function = "sched_process_exec")]
fn exec_typed(ctx: BtfTracePointContext) -> i32 {
    if !is_counted::<Typed>(ctx.arg(2)) {
        exec_typed_fully(&ctx);
    }
    0
}

#[inline(never)]
fn exec_typed_fully(ctx: &BtfTracePointContext) {
    on_exec::<Typed>(ctx.arg(0), ctx.arg(2));
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn exec_probed(ctx: RawTracePointContext) -> i32 {
    if !is_counted::<Probed>(ctx.arg(2)) {
        exec_probed_fully(&ctx);
    }
    0
}

#[inline(never)]
fn exec_probed_fully(ctx: &RawTracePointContext) {
    on_exec::<Probed>(ctx.arg(0), ctx.arg(2));
}
