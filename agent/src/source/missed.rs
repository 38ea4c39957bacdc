//! Programs that the kernel did not run because they were running already.
//!
//! On a preemptible kernel a task may be preempted inside of a program; the same program is then
//! skipped on that CPU (`__bpf_prog_enter_recur`, kernel/bpf/trampoline.c, since Linux 5.12), and
//! the kernel counts it.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};

use aya::Ebpf;

/// How often that happened to any program that is loaded; 0 on kernels that do not say.
pub(crate) fn read(ebpf: &Ebpf) -> u64 {
    ebpf.programs()
        .filter_map(|(_, program)| program.fd().ok())
        .filter_map(|fd| {
            fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd())).ok()
        })
        .filter_map(|info| misses(&info))
        .sum()
}

/// `recursion_misses` of a program's fdinfo (`bpf_prog_show_fdinfo`, kernel/bpf/syscall.c).
fn misses(info: &str) -> Option<u64> {
    info.lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::misses;

    #[test]
    fn the_kernels_own_account_is_read() {
        for (info, expected) in [
            (
                "pos:\t0\nprog_type:\t26\nrun_cnt:\t9\nrecursion_misses:\t3\nverified_insns:\t4\n",
                Some(3),
            ),
            ("pos:\t0\nprog_type:\t26\n", None),
            ("recursion_misses:\tmany\n", None),
        ] {
            assert_eq!(misses(info), expected);
        }
    }
}
