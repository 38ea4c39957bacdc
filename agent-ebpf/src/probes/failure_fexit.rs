//! Tier 1: `bprm_execve` on return, fs/exec.c.

use aya_ebpf::EbpfContext as _;
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
    let ret = if config!(bprm_execve_args) == 1 {
        word::<1>(&ctx)
    } else {
        word::<4>(&ctx)
    } as i32;
    if on_return::<Typed>(ctx.arg(0), i64::from(ret)) {
        debug!(&ctx, "bprm_execve returned {}", ret);
    }
    0
}

/// The `N`th word of the context. In assembler, because the compiler would make one load at a
/// computed offset of the two above, and the verifier wants a constant one.
#[inline(always)]
fn word<const N: usize>(ctx: &FExitContext) -> u64 {
    let value: u64;
    // SAFETY: a load from the context, which the verifier checks.
    unsafe {
        core::arch::asm!(
            "{value} = *(u64 *)({ctx} + {offset})",
            ctx = in(reg) ctx.as_ptr(),
            value = out(reg) value,
            offset = const 8 * N,
            options(readonly, nostack),
        );
    }
    value
}
