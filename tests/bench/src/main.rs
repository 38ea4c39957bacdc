//! `cargo xtask bench`: what the agent costs a node, how fast it tells, and how others do.
//!
//! These are measurements, not tests: they pass no judgement. Where two things are compared they
//! take turns within one run, because machines drift.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Isa, Program};
use archtrace_harness::launch;
use archtrace_harness::world::{Config, Place, World};
use clap::Parser as _;

mod footprint;
mod kernel_time;
mod latency;
mod peers;
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
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// What an exec costs, what the agent uses, how fast it tells
    Agent {
        /// Native execs for the kernel time
        #[arg(long, default_value_t = 20_000)]
        execs: u32,
    },
    /// The agent beside other programs that tell of execs
    Peers(peers::Args),
}

fn main() -> Result<()> {
    launch::serve()?;
    let Args {
        programs,
        emulator,
        what,
    } = Args::parse();
    let config = Config {
        place: Place::Host,
        programs,
        emulator,
        tier: None,
        runtime: None,
    };
    match what {
        What::Agent { execs } => agent(config, execs),
        What::Peers(args) => peers::print(config, &args),
    }
}

fn agent(config: Config, execs: u32) -> Result<()> {
    ensure!(execs > 0, "--execs is 0");
    let mut world = world(config)?;
    let native = native(&world, Path::new("native"))?;
    footprint::started();
    kernel_time::print(&mut world, &native, execs)?;
    latency::print(&world, 200)?;
    footprint::print(&mut world)?;
    rate::print(&mut world, &native)?;
    world.check_health()
}

fn world(config: Config) -> Result<World> {
    World::new(config).context("start an agent and a collector")
}

/// A program of this CPU that ends at once.
fn native(world: &World, name: &Path) -> Result<PathBuf> {
    let isa = Isa::native().context("there are no guests for this machine's CPU")?;
    world.program(name, isa, Program::Exit(0))
}
