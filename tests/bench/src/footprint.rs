//! What the agent itself uses.

use std::fs;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use archtrace_harness::world::World;

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
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context("read the agent's status")?;
    println!("agent {} s after its start", age.max(SETTLED).as_secs());
    for (field, goal) in [
        ("RssAnon", " (goal <= 15360 kB)"),
        ("VmRSS", ""),
        ("Threads", ""),
    ] {
        let value = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        println!("  {field:<8} {}{goal}", value.unwrap_or("?").trim());
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

/// `sum_exec_runtime` of its threads: the first number of schedstat, in nanoseconds; `stat` only
/// counts in hundredths of a second.
fn cpu_seconds(pid: nix::unistd::Pid) -> Result<f64> {
    let mut ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("list the agent's threads")? {
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
