//! Tier 2: `security_bprm_check(bprm)` on entry.

use aya_ebpf::macros::kprobe;
use aya_ebpf::programs::ProbeContext;
use aya_log_ebpf::debug;

use crate::kernel::Probed;
use crate::pass::on_pass;

#[kprobe(function = "security_bprm_check")]
fn header_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(bprm) = ctx.arg(0)
        && let Some(machine) = on_pass::<Probed>(bprm)
    {
        debug!(
            &ctx,
            "a file of machine {} is about to be executed", machine
        );
    }
    0
}
