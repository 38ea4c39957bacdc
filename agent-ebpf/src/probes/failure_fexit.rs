//! Tier 1: `bprm_execve` on return, fs/exec.c.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use aya_log_ebpf::debug;

use crate::failure::on_return;
use crate::kernel::Typed;
use crate::state::config;

#[fexit(function = "bprm_execve")]
fn failure_fexit(ctx: FExitContext) -> i32 {
    // The return value follows the arguments; `bpf_get_func_ret` would need Linux 5.17. The
    // verifier only sees the branch that the configuration leaves.
    let ret: i32 = if config!(bprm_execve_args) == 1 { ctx.arg(1) } else { ctx.arg(4) };
    if on_return::<Typed>(ctx.arg(0), i64::from(ret)) {
        debug!(&ctx, "bprm_execve returned {}", ret);
    }
    0
}
