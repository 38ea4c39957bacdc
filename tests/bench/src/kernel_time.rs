//! Time in our programs per native exec, as the kernel itself accounts it
//! (`kernel.bpf_stats_enabled`, Documentation/admin-guide/sysctl/kernel.rst).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use archtrace_harness::world::{World, run};
use nix::unistd::Pid;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

pub(crate) fn print(world: &mut World, native: &Path, execs: u32) -> Result<()> {
    // First sight of the binary is told once; that is not what is measured.
    run(native, 100)?;
    let agent = world.agent()?.pid();
    let _stats = Stats::switch_on()?;
    let before = programs(agent)?;
    run(native, execs)?;
    let after = programs(agent)?;
    println!("kernel time per native exec ({execs} execs, nothing emulated alive)");
    let mut sum = 0.0;
    for (name, now) in after {
        let Used { ns, runs } = now.since(before.get(&name));
        if runs == 0 {
            continue;
        }
        let ns = ns as f64;
        sum += ns / f64::from(execs);
        let goal = if name.starts_with("exec_") { 200 } else { 70 };
        println!(
            "  {name:<20} {:>8.1} ns a run, {runs} runs (goal <= {goal} ns)",
            ns / runs as f64
        );
    }
    println!("  {:<20} {sum:>8.1} ns an exec (goal <= 400 ns)", "sum");
    let seen = world.client().facts(&["--mode", "native"])?;
    let count = seen
        .iter()
        .find(|fact| Path::new(&fact.binary) == native)
        .map_or(0, |fact| fact.count);
    println!("  counted so far       {count:>8} (native counters are read every 20 s)");
    Ok(())
}

/// What the kernel accounts of one program.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) ns: u64,
    pub(crate) runs: u64,
}

impl Used {
    /// What came since `before`; there is none of a program that is new.
    pub(crate) fn since(self, before: Option<&Self>) -> Self {
        let before = before.copied().unwrap_or_default();
        Self {
            ns: self.ns - before.ns,
            runs: self.runs - before.runs,
        }
    }
}

/// The names of the agent's programs start with the hook they serve.
const HOOKS: [&str; 5] = ["exec_", "header_", "failure_", "fork_", "free_"];

/// Run time in nanoseconds and runs of the agent's programs, by name. The kernel tells the names
/// of loaded programs.
fn programs(agent: Pid) -> Result<BTreeMap<String, Used>> {
    let used_by_id = used(agent)?;
    let mut used = BTreeMap::new();
    for program in aya::programs::loaded_programs() {
        let program = program.context("list the loaded programs")?;
        let name = program.name_as_str().unwrap_or("?");
        if let Some(value) = used_by_id.get(&program.id())
            && HOOKS.iter().any(|hook| name.starts_with(hook))
        {
            used.insert(name.to_owned(), *value);
        }
    }
    ensure!(!used.is_empty(), "the agent holds no programs");
    Ok(used)
}

/// What the kernel accounts of the programs that a process holds, by id: it tells that in the fdinfo of
/// whoever holds them (since Linux 5.1).
pub(crate) fn used(holder: Pid) -> Result<BTreeMap<u32, Used>> {
    let dir = format!("/proc/{holder}/fdinfo");
    let mut used = BTreeMap::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("read {dir}"))? {
        // A descriptor may be closed meanwhile.
        let Ok(info) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        let field = |name: &str| -> Option<u64> {
            let value = info
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value?.trim().parse().ok()
        };
        if let (Some(id), Some(ns), Some(runs)) =
            (field("prog_id"), field("run_time_ns"), field("run_cnt"))
            && let Ok(id) = u32::try_from(id)
        {
            used.insert(id, Used { ns, runs });
        }
    }
    Ok(used)
}

/// Accounting costs something itself, so it is on only while it is needed.
pub(crate) struct Stats {
    before: String,
}

impl Stats {
    pub(crate) fn switch_on() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).with_context(|| format!("read {SWITCH}"))?;
        fs::write(SWITCH, "1").with_context(|| format!("write {SWITCH}"))?;
        Ok(Self { before })
    }
}

impl Drop for Stats {
    fn drop(&mut self) {
        // Nothing else could be done about it, and it changes no result.
        let _ = fs::write(SWITCH, self.before.trim());
    }
}
