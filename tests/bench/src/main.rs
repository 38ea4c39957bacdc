//! `cargo xtask bench`: what the agent costs a node, and how fast it tells.
//!
//! These are measurements, not tests: they pass no judgement. Where two things are compared they
//! take turns within one run, because machines drift.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Isa, Program};
use archtrace_harness::world::{Config, Place, World};
use clap::Parser as _;

mod footprint;
mod kernel_time;
mod latency;
mod rate;
mod summary;

#[derive(clap::Parser)]
struct Args {
    /// Directory of the programs
    #[arg(long)]
    programs: PathBuf,
    /// A static emulator of the foreign instruction set
    #[arg(long)]
    emulator: PathBuf,
    /// Native execs for the kernel time
    #[arg(long, default_value_t = 20_000)]
    execs: u32,
}

fn main() -> Result<()> {
    let Args {
        programs,
        emulator,
        execs,
    } = Args::parse();
    ensure!(execs > 0, "--execs is 0");
    let config = Config {
        place: Place::Host,
        programs,
        emulator,
        tier: None,
        runtime: None,
    };
    let mut world = World::new(config).context("start an agent and a collector")?;
    let isa = Isa::native().context("there are no guests for this machine's CPU")?;
    let native = world.program("native", isa, Program::Exit(0))?;
    footprint::started();
    kernel_time::print(&mut world, &native, execs)?;
    latency::print(&world, 200)?;
    footprint::print(&mut world)?;
    rate::print(&mut world, &native)?;
    world.check_health()
}
