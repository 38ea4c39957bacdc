//! `cargo xtask bench`: measures what the agent costs.

use anyhow::{Context as _, Result, ensure};

use crate::vm::Arch;
use crate::{binaries, emulator, progress, setup};

#[derive(clap::Args)]
#[command(
    after_help = "Takes about three minutes, on a machine that should have nothing else to do."
)]
pub(crate) struct Args {}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args {} = args;
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
