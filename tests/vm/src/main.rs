//! PID 1 of a virtual machine: prepares it, runs the cases, powers it off.
//!
//! Where a benchmark is wanted, it runs that instead of the cases.
//!
//! Where pods are to run, it hands over to systemd, which starts it again as a service, and it runs
//! the cases of pods. Prints a line for each case (see `archtrace_harness::cases::run`), further lines
//! that start with `    | ` where something failed, and `end passed=N failed=N tier=N` once all have run.

mod bench;
mod handover;
mod loopback;
mod machine;

use std::path::Path;
use std::process;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use archtrace_harness::cases::{self, Case};
use archtrace_harness::launch;
use archtrace_harness::pods::Runtime;
use archtrace_harness::world::{Config, Place, World};

/// On the kernel's command line where systemd and containerd are wanted.
const PODS: &str = "archtrace.pods";

fn main() -> ExitCode {
    if let Err(error) = launch::serve() {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let first = process::id() == 1;
    if !first && !matches!(machine::option(PODS), Ok(Some(_))) {
        eprintln!("this is the init of a virtual machine; run: cargo xtask vm --help");
        return ExitCode::FAILURE;
    }
    let result = if first { init() } else { pods() };
    if let Err(error) = result {
        println!("case boot FAIL {error:#}");
        println!("end passed=0 failed=1");
    }
    machine::power_off();
    ExitCode::FAILURE
}

fn init() -> Result<()> {
    machine::attach("proc", "/proc")?;
    if machine::option(PODS)?.is_some() {
        return handover::to_systemd();
    }
    machine::prepare()?;
    if let Some(amount) = machine::option(bench::OPTION)? {
        bench::run(&amount);
        return Ok(());
    }
    run(Path::new("/bin"), cases::ALL, None)
}

/// As a service of systemd.
fn pods() -> Result<()> {
    machine::say_kernel()?;
    let runtime = Runtime {
        programs: vec!["/usr/bin".into(), "/usr/sbin".into()],
        systemd: true,
        // As on every node, and as the chart has it mounted.
        run: Some("/run/containerd".into()),
    };
    run(Path::new(handover::PROGRAMS), cases::PODS, Some(runtime))
}

fn run(programs: &Path, cases: &[Case], runtime: Option<Runtime>) -> Result<()> {
    let tier = machine::option("archtrace.tier")?;
    let config = Config {
        place: Place::Vm,
        programs: programs.to_owned(),
        emulator: programs.join("emulator"),
        tier: tier
            .map(|tier| tier.parse())
            .transpose()
            .context("archtrace.tier")?,
        runtime,
    };
    let filter = machine::option("archtrace.case")?.unwrap_or_default();
    let mut world = World::new(config)?;
    let (passed, failed) = cases::run(&mut world, cases, &filter);
    if failed > 0 {
        world.print_logs();
    }
    let tier = world.header_tier().unwrap_or(0);
    drop(world);
    println!("end passed={passed} failed={failed} tier={tier}");
    Ok(())
}
