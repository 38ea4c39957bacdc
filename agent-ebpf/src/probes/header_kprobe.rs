//! Tier 2: `security_bprm_check(bprm)` on entry.

use aya_ebpf::macros::kprobe;
use aya_ebpf::programs::ProbeContext;

use crate::kernel::Probed;
use crate::pass::on_pass;

#[kprobe(function = "security_bprm_check")]
fn header_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(bprm) = ctx.arg(0) {
        on_pass::<Probed>(bprm);
    }
    0
}
