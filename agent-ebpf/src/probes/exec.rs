//! `sched_process_exec(task, old_pid, bprm)`, include/trace/events/sched.h.

use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};

use crate::exec::on_exec;
use crate::kernel::{Probed, Typed};

#[btf_tracepoint(function = "sched_process_exec")]
fn exec_typed(ctx: BtfTracePointContext) -> i32 {
    on_exec::<Typed>(ctx.arg(0), ctx.arg(2));
    0
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn exec_probed(ctx: RawTracePointContext) -> i32 {
    on_exec::<Probed>(ctx.arg(0), ctx.arg(2));
    0
}
