//! `cgroup_mkdir(cgroup, path)`, include/trace/events/cgroup.h.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;

use crate::cgroup::on_made;

#[raw_tracepoint(tracepoint = "cgroup_mkdir")]
fn cgroup(ctx: RawTracePointContext) -> i32 {
    on_made(ctx.arg(0), ctx.arg(1));
    0
}
