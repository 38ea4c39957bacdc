//! `sched_process_fork(parent, child)`: threads too.

use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};

use crate::kernel::{Probed, Typed};
use crate::state::anything_alive;
use crate::tasks::inherit;

#[btf_tracepoint(function = "sched_process_fork")]
fn fork_typed(ctx: BtfTracePointContext) -> i32 {
    if anything_alive() {
        inherit::<Typed>(ctx.arg(0), ctx.arg(1));
    }
    0
}

#[raw_tracepoint(tracepoint = "sched_process_fork")]
fn fork_probed(ctx: RawTracePointContext) -> i32 {
    if anything_alive() {
        inherit::<Probed>(ctx.arg(0), ctx.arg(1));
    }
    0
}
