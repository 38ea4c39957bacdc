//! Tier 2: `bprm_execve` on return. A kretprobe has no arguments, so that entry keeps them.

use archtrace_ebpf::abi::stat;
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::macros::{kprobe, kretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use aya_log_ebpf::debug;

use crate::failure::on_return;
use crate::kernel::{Probed, current};
use crate::state::{INSIDE, count, keep_inside};

#[kprobe(function = "bprm_execve")]
fn failure_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(bprm) = ctx.arg::<*const u8>(0) {
        let task = current();
        if INSIDE.get_ptr(task).is_some() {
            // A kretprobe has a bounded number of instances; in a storm of execs it misses.
            count(stat::MISSED_RETURN);
        }
        keep_inside();
        if INSIDE
            .insert(task, bprm as u64, u64::from(BPF_ANY))
            .is_err()
        {
            count(stat::LOST_FLIGHT);
        }
    }
    0
}

#[kretprobe(function = "bprm_execve")]
fn failure_kretprobe(ctx: RetProbeContext) -> u32 {
    let task = current();
    // SAFETY: a plain value, copied before it is removed.
    if let Some(bprm) = unsafe { INSIDE.get(task).copied() } {
        let _ = INSIDE.remove(task);
        let ret: i32 = ctx.ret();
        if on_return::<Probed>(bprm as *const u8, i64::from(ret)) {
            debug!(&ctx, "bprm_execve returned {}", ret);
        }
    }
    0
}
