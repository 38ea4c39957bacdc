//! Tier 1: `security_bprm_check(bprm)` on entry, security/security.c.

use aya_ebpf::macros::fentry;
use aya_ebpf::programs::FEntryContext;
use aya_log_ebpf::debug;

use crate::kernel::Typed;
use crate::pass::on_pass;

#[fentry(function = "security_bprm_check")]
fn header_fentry(ctx: FEntryContext) -> i32 {
    if let Some(machine) = on_pass::<Typed>(ctx.arg(0)) {
        debug!(
            &ctx,
            "a file of machine {} is about to be executed", machine
        );
    }
    0
}
