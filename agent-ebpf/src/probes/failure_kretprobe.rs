//! Tier 2: `bprm_execve` on return. A kretprobe has no arguments, so that entry keeps them.

use archtrace_ebpf::abi::stat;
use aya_ebpf::macros::{kprobe, kretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use aya_log_ebpf::debug;

use crate::failure::on_return;
use crate::inside;
use crate::kernel::{Probed, current};
use crate::state::{count, keep_inside, keeps_inside};

#[kprobe(function = "bprm_execve")]
fn failure_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(bprm) = ctx.arg::<*const u8>(0) {
        if !keeps_inside() {
            keep_inside();
        }
        if inside::enter(current(), bprm as u64) {
            // A kretprobe has a bounded number of instances; in a storm of execs it misses.
            count(stat::MISSED_RETURN);
        }
    }
    0
}

#[kretprobe(function = "bprm_execve")]
fn failure_kretprobe(ctx: RetProbeContext) -> u32 {
    let ret = i64::from(ctx.ret::<i32>());
    match inside::leave(current()) {
        Some(bprm) => {
            if on_return::<Probed>(bprm as *const u8, ret) {
                debug!(&ctx, "bprm_execve returned {}", ret);
            }
        }
        // Of those that succeed, `sched_process_exec` has told.
        None if ret < 0 => count(stat::LOST_FLIGHT),
        None => {}
    }
    0
}
