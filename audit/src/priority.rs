//! Lets everything else go first.

use std::io;

use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use thread_priority::{Error, ThreadPriority};

/// Gives the calling thread the CPU only when nobody else wants it (`SCHED_IDLE`, sched(7)), and so
/// the disk too: where a thread has no I/O priority of its own, the kernel takes the idle class for
/// this policy (`task_nice_ioclass`, include/linux/ioprio.h). Takes no privilege.
///
/// # Errors
/// If the kernel refuses, as a seccomp filter may.
pub fn idle_priority() -> io::Result<()> {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).map_err(
        |error| match error {
            Error::OS(code) => io::Error::from_raw_os_error(code),
            other => io::Error::other(format!("{other:?}")),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_becomes_idle() {
        std::thread::spawn(|| {
            idle_priority().expect("allowed to everybody");
            // proc_pid_stat(5): policy is field 41; SCHED_IDLE is 5.
            let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("proc");
            let (_, fields) = stat.rsplit_once(") ").expect("a name");
            assert_eq!(fields.split(' ').nth(41 - 3), Some("5"));
        })
        .join()
        .expect("no panic");
    }
}
