//! The programs that run in the kernel. See `abi` for what they share with the agent.
//!
//! | file | what it does |
//! |---|---|
//! | `probes/*` | one hook each: a thin entry that reads its arguments |
//! | `exec`, `pass`, `failure`, `tasks` | what the hooks share: what an exec, a pass, a refusal, a task means |
//! | `inside` | who is in the middle of an exec, for returns without arguments |
//! | `signal` | a death by SIGILL |
//! | `cgroup` | the name of a cgroup, when it is made |
//! | `cells` | counting, and when to send a record |
//! | `record` | putting a record together |
//! | `walk` | from a file to its path |
//! | `names` | hashes of names, where a file is out of sight |
//! | `kernel` | reads of kernel memory |
//! | `state` | maps, statistics, configuration |
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod cells;
mod cgroup;
mod exec;
mod failure;
mod inside;
mod kernel;
mod names;
mod pass;
mod probes;
mod record;
mod signal;
mod state;
mod tasks;
mod walk;

/// The verifier rejects a program in which this can be reached: it never ends.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
