//! `cargo xtask bench`: measures what the agent and the collector cost.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::vm::Arch;
use crate::{binaries, emulator, paths, progress, setup};

#[derive(clap::Args)]
#[command(after_help = "Both take minutes, on a machine that should have nothing else to do.")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(clap::Subcommand)]
enum What {
    /// What an exec costs, what the agent uses, how fast it tells (the default; needs root)
    Agent,
    /// What a collector costs and how fast it is, with fleets of several sizes beside it
    Collector {
        /// Options of the measuring program, such as --nodes 100,1000; --help shows them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args { what } = args;
    match what {
        None | Some(What::Agent) => agent(),
        Some(What::Collector { options }) => collector(options),
    }
}

fn agent() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "only root may load programs into the kernel; run: sudo -E env \"PATH=$PATH\" cargo xtask bench"
    );
    setup::prepare(setup::Purpose::Run)?;
    let host = Arch::host().context("there are no guests for this machine's CPU")?;
    let programs = binaries::build()?;
    let package = ["--release", "--locked", "--package", "archtrace-bench"];
    progress::command(
        "build the benchmark",
        binaries::cargo().arg("build").args(package),
    )?;
    let mut bench = binaries::cargo();
    bench.args(["run", "--quiet"]).args(package).arg("--");
    bench
        .arg("--programs")
        .arg(programs)
        .arg("--emulator")
        .arg(emulator::static_qemu(host)?);
    let status = bench.status().context("start the benchmark")?;
    ensure!(status.success(), "the benchmark ended with {status}");
    Ok(())
}

fn collector(options: &[String]) -> Result<()> {
    let packages = ["archtrace-collector", "archtrace-sim"];
    let packages = packages.iter().flat_map(|name| ["--package", name]);
    progress::command(
        "build the collector and the simulator",
        binaries::cargo()
            .args(["build", "--release", "--locked"])
            .args(packages),
    )?;
    let program = paths::target().join("release/archtrace-bench-collector");
    let status = Command::new(&program).args(options).status();
    let status = status.with_context(|| format!("start {}", program.display()))?;
    ensure!(status.success(), "the benchmark ended with {status}");
    Ok(())
}
