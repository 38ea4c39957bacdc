//! The agent beside its peers in a machine that counts instructions rather than time.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::boot::{self, Boot};
use super::{Arch, Machine, Version, disk, image};
use crate::{binaries, kernel, setup};

/// What the machine has besides what all have; cargo calls the package the same.
const PROGRAM: &str = "archtrace-bench";

/// Says that the rest of a line is of the benchmark's output.
const OUTPUT: &str = "bench|";

/// Measures in a machine with that kernel. `peers` fetches what the agent is compared with.
///
/// # Errors
/// If something for it cannot be had, or the benchmark fails.
pub(crate) fn peers(
    version: Version,
    arch: Arch,
    quick: bool,
    peers: impl FnOnce(Arch) -> Result<PathBuf>,
) -> Result<()> {
    setup::prepare(setup::Purpose::Vm)?;
    let machine = Machine::new(version, arch);
    let programs = binaries::build_static(arch, &[PROGRAM])?;
    let kernel = kernel::with_disk(version, arch)?;
    let disk = disk::of_peers(arch, &peers(arch)?)?;
    let image = image::make(machine, &kernel, &programs, &[PROGRAM], &[])?;
    let boot = Boot {
        machine,
        kernel: &kernel.image,
        image: &image,
        disk: Some(&disk),
        task: if quick {
            "archtrace.bench=quick"
        } else {
            "archtrace.bench"
        },
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
