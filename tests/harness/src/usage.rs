//! What the kernel says of CPU time.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeVal;
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::wait::eventually;

/// So long a process may take until it gets a CPU, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// CPU time of all children of this process that have ended and been waited for, and of their
/// children in turn.
///
/// # Errors
/// Never in practice: the arguments are valid.
pub fn of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

/// CPU time of all threads of a process that is alive.
///
/// # Errors
/// If it has ended.
pub fn of_process(pid: Pid) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // The name in the second field may hold anything; utime and stime are fields 14 and 15.
    let (_, fields) = stat
        .rsplit_once(") ")
        .with_context(|| format!("{path} has no name"))?;
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap_or(0))
        .sum();
    let per_second = sysconf(SysconfVar::CLK_TCK)?
        .and_then(|ticks| u64::try_from(ticks).ok())
        .unwrap_or(100);
    Ok(Duration::from_millis(ticks * 1000 / per_second))
}

/// Stops a process once it has used `least`, and returns what it used: whoever looks later sees the same.
///
/// # Errors
/// If it does not use that in time, or has ended.
pub fn of_stopped(pid: Pid, least: Duration) -> Result<Duration> {
    eventually(PATIENCE, || {
        let used = of_process(pid)?;
        ensure!(used >= least, "process {pid} used {used:?} of {least:?}");
        Ok(())
    })?;
    kill(pid, Signal::SIGSTOP).with_context(|| format!("stop process {pid}"))?;
    // A thread stops when it is next on a CPU.
    eventually(PATIENCE, || {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let stat = fs::read_to_string(thread?.path().join("stat"))?;
            let stopped = stat
                .rsplit_once(") ")
                .is_some_and(|(_, fields)| fields.starts_with('T'));
            ensure!(stopped, "a thread goes on: {stat}");
        }
        Ok(())
    })?;
    of_process(pid)
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}
