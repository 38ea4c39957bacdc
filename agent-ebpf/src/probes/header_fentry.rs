//! Tier 1: `security_bprm_check(bprm)` on entry, security/security.c.

use aya_ebpf::macros::fentry;
use aya_ebpf::programs::FEntryContext;

use crate::kernel::Typed;
use crate::pass::on_pass;

#[fentry(function = "security_bprm_check")]
fn header_fentry(ctx: FEntryContext) -> i32 {
    on_pass::<Typed>(ctx.arg(0));
    0
}
