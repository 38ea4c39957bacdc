//! PID 1 of a virtual machine: prepares it, runs the cases, powers it off.
//!
//! Prints a line for each case (see `archtrace_harness::cases::run`), further lines that start with
//! `    | ` where something failed, and `end passed=N failed=N tier=N` once all have run.

mod loopback;
mod machine;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, process};

use anyhow::{Context as _, Result};
use archtrace_harness::world::{Config, Place, World};
use archtrace_harness::{cases, launch};

fn main() -> ExitCode {
    if let Err(error) = launch::serve() {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    if process::id() != 1 {
        eprintln!("this is the init of a virtual machine; run: cargo xtask vm --help");
        return ExitCode::FAILURE;
    }
    if let Err(error) = run() {
        println!("case boot FAIL {error:#}");
        println!("end passed=0 failed=1");
    }
    machine::power_off();
    ExitCode::FAILURE
}

fn run() -> Result<()> {
    machine::prepare()?;
    let line = fs::read_to_string("/proc/cmdline").context("read the kernel's command line")?;
    let option = |name: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let config = Config {
        place: Place::Vm,
        programs: PathBuf::from("/bin"),
        emulator: PathBuf::from("/bin/emulator"),
        tier: option("archtrace.tier")
            .map(str::parse)
            .transpose()
            .context("archtrace.tier")?,
    };
    let filter = option("archtrace.case").unwrap_or_default();
    let mut world = World::new(config)?;
    let (passed, failed) = cases::run(&mut world, filter);
    if failed > 0 {
        for name in ["agent", "collector"] {
            let log = fs::read(world.log(name)).unwrap_or_default();
            for line in String::from_utf8_lossy(&log).lines() {
                println!("    | {name}: {line}");
            }
        }
    }
    let tier = world.header_tier().unwrap_or(0);
    drop(world);
    println!("end passed={passed} failed={failed} tier={tier}");
    Ok(())
}
