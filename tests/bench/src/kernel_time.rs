//! Time in our programs per native exec, as the kernel itself accounts it
//! (`kernel.bpf_stats_enabled`, Documentation/admin-guide/sysctl/kernel.rst).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use archtrace_harness::world::{World, run};
use serde::Deserialize;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

pub(crate) fn print(world: &World, native: &Path, execs: u32) -> Result<()> {
    // First sight of the binary is told once; that is not what is measured.
    run(native, 100)?;
    let _stats = Stats::switch_on()?;
    let before = programs()?;
    run(native, execs)?;
    let after = programs()?;
    println!("kernel time per native exec ({execs} execs, nothing emulated alive)");
    let mut sum = 0.0;
    for (name, now) in after {
        let before = before.get(&name).copied().unwrap_or_default();
        let runs = now.runs - before.runs;
        if runs == 0 {
            continue;
        }
        let ns = (now.ns - before.ns) as f64;
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

#[derive(Clone, Copy, Default)]
struct Used {
    ns: u64,
    runs: u64,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    name: String,
    #[serde(default)]
    run_time_ns: u64,
    #[serde(default)]
    run_cnt: u64,
}

/// The names of the agent's programs start with the hook they serve.
const HOOKS: [&str; 5] = ["exec_", "header_", "failure_", "fork_", "free_"];

fn programs() -> Result<BTreeMap<String, Used>> {
    let output = Command::new("bpftool")
        .args(["--json", "prog", "show"])
        .output();
    let output = output.context("start bpftool; `apt-get install bpftool` has it")?;
    let listed: Vec<Listed> =
        serde_json::from_slice(&output.stdout).context("bpftool prog show printed no JSON")?;
    let ours = listed
        .into_iter()
        .filter(|program| HOOKS.iter().any(|hook| program.name.starts_with(hook)));
    Ok(ours
        .map(|program| {
            (
                program.name,
                Used {
                    ns: program.run_time_ns,
                    runs: program.run_cnt,
                },
            )
        })
        .collect())
}

/// Accounting costs something itself, so it is on only while it is needed.
struct Stats {
    before: String,
}

impl Stats {
    fn switch_on() -> Result<Self> {
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
