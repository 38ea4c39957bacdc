//! Runs the cases on this machine, with programs that were built before.
//!
//! Takes a part of a case's name as its argument, as `cargo test` passes it on. The programs are
//! those in `$ARCHTRACE_PROGRAMS`; without it, or without root, nothing runs, and that is said.

use std::env;
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use archtrace_harness::pods::Runtime;
use archtrace_harness::world::{Config, Place, World};
use archtrace_harness::{cases, launch};

fn main() -> ExitCode {
    if let Err(error) = launch::serve() {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let Some(programs) = env::var_os("ARCHTRACE_PROGRAMS").map(PathBuf::from) else {
        println!(
            "skipped: ARCHTRACE_PROGRAMS does not say where the programs are; run: cargo xtask test --no-vm"
        );
        return ExitCode::SUCCESS;
    };
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root may load programs into the kernel");
        return ExitCode::SUCCESS;
    }
    let filter = env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or_default();
    match run(programs, &filter) {
        Ok((_, 0)) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Two runs at once would register handlers over each other's.
const LOCK: &str = "/run/archtrace-test.lock";

fn run(programs: PathBuf, filter: &str) -> Result<(u32, u32)> {
    let lock = File::create(LOCK).with_context(|| format!("create {LOCK}"))?;
    lock.lock().with_context(|| format!("lock {LOCK}"))?;
    let emulator = env::var_os("ARCHTRACE_EMULATOR").map_or_else(
        || PathBuf::from("/usr/bin/qemu-aarch64-static"),
        PathBuf::from,
    );
    let tier = env::var("ARCHTRACE_TIER")
        .ok()
        .map(|tier| tier.parse())
        .transpose()
        .context("ARCHTRACE_TIER")?;
    let runtime = env::var_os("ARCHTRACE_CONTAINERD").map(|path| Runtime {
        programs: env::split_paths(&path).collect(),
        systemd: false,
    });
    let has_pods = runtime.is_some();
    let mut world = World::new(Config {
        place: Place::Host,
        programs,
        emulator,
        tier,
        runtime,
    })?;
    // Pods first: the last of the others leave the maps full.
    let (mut passed, mut failed) = (0, 0);
    if has_pods {
        (passed, failed) = cases::run(&mut world, cases::PODS, filter);
    }
    let others = cases::run(&mut world, cases::ALL, filter);
    passed += others.0;
    failed += others.1;
    let tier = world.header_tier().unwrap_or(0);
    println!("end passed={passed} failed={failed} tier={tier}");
    if failed > 0 {
        world.print_logs();
    }
    Ok((passed, failed))
}
