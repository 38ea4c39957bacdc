//! Tier 3: `sys_exit_execve` and `sys_exit_execveat`. Only the return value is handed over; the
//! file's name is found in the registers that the system call was made with.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use aya_log_ebpf::debug;

use crate::failure::on_syscall_return;
use crate::kernel::{Probed, Read as _};
use crate::state::config;

/// Where `struct pt_regs` keeps the first and second argument of a system call after it returned.
#[cfg(bpf_target_arch = "x86_64")]
const ARGUMENTS: [u32; 2] = [112, 104]; // rdi, rsi
#[cfg(bpf_target_arch = "aarch64")]
const ARGUMENTS: [u32; 2] = [272, 8]; // orig_x0 (x0 holds the return value), x1

/// Offset of `ret` in both events' format.
const RET: usize = 16;

#[tracepoint(category = "syscalls", name = "sys_exit_execve")]
fn failure_execve(ctx: TracePointContext) -> u32 {
    on_exit(&ctx, ARGUMENTS[0])
}

#[tracepoint(category = "syscalls", name = "sys_exit_execveat")]
fn failure_execveat(ctx: TracePointContext) -> u32 {
    on_exit(&ctx, ARGUMENTS[1])
}

#[inline(always)]
fn on_exit(ctx: &TracePointContext, argument: u32) -> u32 {
    // SAFETY: the event's format, which is ABI: common fields, number, return value. Loaded
    // directly, because every exec that succeeds comes by here too.
    let ret = unsafe { ctx.as_ptr().add(RET).cast::<i64>().read_volatile() };
    if ret < 0 {
        let mut filename: *const u8 = core::ptr::null();
        if config!(has_task_pt_regs) != 0 {
            // SAFETY: the current task's own registers, at offsets that are ABI (ptrace.h).
            filename = unsafe {
                let regs = bpf_task_pt_regs(bpf_get_current_task_btf()) as *const u8;
                Probed::get(regs, argument)
            };
        }
        on_syscall_return(filename, ret);
        debug!(ctx, "execve returned {}", ret);
    }
    0
}
