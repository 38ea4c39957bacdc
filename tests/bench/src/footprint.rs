//! What the agent itself uses.

use std::fs;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use archtrace_harness::world::World;
use nix::unistd::Pid;

static STARTED: OnceLock<Instant> = OnceLock::new();

/// The agent has just been started.
pub(crate) fn started() {
    STARTED.get_or_init(Instant::now);
}

/// Memory is told so long after the start, when caches are warm and start-up's are gone.
const SETTLED: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(30);

pub(crate) fn print(world: &mut World) -> Result<()> {
    let pid = world.agent()?.pid();
    let age = STARTED.get().map_or(Duration::ZERO, Instant::elapsed);
    sleep(SETTLED.saturating_sub(age));
    println!("agent {} s after its start", age.max(SETTLED).as_secs());
    for (field, goal) in [
        ("RssAnon", " (goal <= 15360 kB)"),
        ("VmRSS", ""),
        ("Threads", ""),
    ] {
        println!("  {field:<8} {}{goal}", status(pid, field)?);
    }
    let before = cpu_seconds(pid)?;
    sleep(IDLE);
    let used = cpu_seconds(pid)? - before;
    println!(
        "  idle CPU {:.3} % over {} s (goal <= 0.1 %)",
        100.0 * used / IDLE.as_secs_f64(),
        IDLE.as_secs()
    );
    Ok(())
}

/// A field of `/proc/PID/status` (`proc_pid_status(5)`).
pub(crate) fn status(pid: Pid, field: &str) -> Result<String> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(value
        .with_context(|| format!("{path} has no {field}"))?
        .trim()
        .to_owned())
}

/// `sum_exec_runtime` of its threads: the first number of schedstat, in nanoseconds; `stat` only
/// counts in hundredths of a second.
pub(crate) fn cpu_seconds(pid: Pid) -> Result<f64> {
    let mut ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("list the threads")? {
        let path = task?.path().join("schedstat");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        ns += text
            .split(' ')
            .next()
            .and_then(|ns| ns.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(ns as f64 / 1e9)
}
