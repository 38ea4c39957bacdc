//! Benchmarks in a machine that counts instructions rather than time.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::boot::{self, Boot};
use super::{Arch, Machine, Version, disk, image};
use crate::{binaries, kernel};

/// What the machine has besides what all have; cargo calls the package the same.
const PROGRAM: &str = "archtrace-bench";

/// Says that the rest of a line is of the benchmark's output.
const OUTPUT: &str = "bench|";

/// What is measured in a machine.
#[derive(Clone, Debug)]
pub(crate) enum Bench {
    /// The agent.
    Agent,
    /// The agent beside its peers.
    Peers {
        /// Where they were unpacked, for the machine's architecture.
        root: PathBuf,
        /// A little of everything.
        quick: bool,
    },
}

/// Measures in a machine with that kernel.
///
/// # Errors
/// If something for it cannot be had, or the benchmark fails.
pub(crate) fn bench(version: Version, arch: Arch, bench: &Bench) -> Result<()> {
    let machine = Machine::new(version, arch);
    let programs = binaries::build_static(arch, &[PROGRAM])?;
    let kernel = kernel::with_disk(version, arch)?;
    let (disk, task) = match bench {
        Bench::Agent => (None, "archtrace.bench=agent"),
        Bench::Peers { root, quick } => {
            let task = if *quick {
                "archtrace.bench=peers,quick"
            } else {
                "archtrace.bench=peers"
            };
            (Some(disk::of_peers(arch, root)?), task)
        }
    };
    let image = image::make(machine, &kernel, &programs, &[PROGRAM], &[])?;
    let boot = Boot {
        machine,
        kernel: &kernel.image,
        image: &image,
        disk: disk.as_deref(),
        task,
        counted: true,
    };
    measure(boot).with_context(|| format!("measure on {}", machine.name()))
}

fn measure(boot: Boot<'_>) -> Result<()> {
    let mut failed = None;
    boot::run(boot, |line| {
        if let Some(at) = line.find(OUTPUT) {
            let output = &line[at + OUTPUT.len()..];
            println!("{}", output.strip_prefix(' ').unwrap_or(output));
        } else if let Some(at) = line.find("    | ") {
            eprintln!("[{}] {}", boot.machine.name(), &line[at..]);
        }
        let Some(end) = line.strip_prefix("end bench ") else {
            return false;
        };
        failed = (end != "ok").then(|| end.to_owned());
        true
    })?;
    ensure!(failed.is_none(), "{}", failed.unwrap_or_default());
    Ok(())
}
