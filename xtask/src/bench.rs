//! `cargo xtask bench`: measures what the agent and the collector cost.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};

use signal_hook::consts::{SIGHUP, SIGINT};

use crate::vm::{self, Arch, Bench, Version};
use crate::{apt, binaries, emulator, paths, progress, setup};

/// The suite that the peers are of.
const SUITE: &str = "bookworm";
/// Those that the agent is compared with, and the shell without which bpftrace crashes.
const PEERS: [&str; 4] = ["auditd", "bpftrace", "dash", "libbpf-tools"];

#[derive(clap::Args)]
#[command(after_help = "All take minutes, on a machine that should have nothing else to do.")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(clap::Subcommand)]
enum What {
    /// What an exec costs, what the agent uses, how fast it tells (the default; needs root)
    #[command(after_help = COUNTED_HELP)]
    Agent(Place),
    /// The agent beside execsnoop (bpftrace's and libbpf-tools') and auditd, in one table (needs root)
    #[command(after_help = PEERS_HELP)]
    Peers {
        /// A little of everything, in a minute; the figures mean nothing
        #[arg(long)]
        quick: bool,
        #[command(flatten)]
        place: Place,
    },
    /// What a collector costs and how fast it is, with fleets of several sizes beside it
    Collector {
        /// Options of the measuring program, such as --nodes 100,1000; --help shows them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

#[derive(Clone, Copy, clap::Args)]
struct Place {
    /// In a virtual machine with this kernel, which counts instructions instead of time: tells of hooks that
    /// this machine may not have, and says the same every time
    #[arg(long, value_enum)]
    kernel: Option<Version>,
    /// Architecture of that machine [default: this machine's]
    #[arg(long, value_enum, requires = "kernel")]
    arch: Option<Arch>,
}

impl Place {
    /// The machine, unless it is this one.
    fn machine(self) -> Result<Option<(Version, Arch)>> {
        let Some(kernel) = self.kernel else {
            return Ok(None);
        };
        let arch = self.arch.or(Arch::host());
        let arch = arch.context("say which one: --arch amd64 or --arch arm64")?;
        Ok(Some((kernel, arch)))
    }
}

const COUNTED_HELP: &str = "\
With --kernel nothing happens to this machine: all of it runs in a virtual one, for some minutes. There a nanosecond is
an instruction: what caches, memory and the CPU's pipelines make of them is not in the figures.

Examples:
  sudo -E env \"PATH=$PATH\" cargo xtask bench agent
  cargo xtask bench agent --kernel 6.1 --arch arm64    tier 2: what each program costs, in instructions";

const PEERS_HELP: &str = "\
Takes five minutes. The peers are Debian's, unpacked into the cache and not installed (100 MB of packages the first
time). The kernel's audit must not be in use: it is switched on for auditd, with a rule for one program, and off again.
Ctrl-C leaves nothing behind.

With --kernel nothing of this happens to this machine: all of it runs in a virtual one, for some ten minutes. There a
nanosecond is an instruction: what caches, memory and the CPU's pipelines make of them is not in the figures.

Examples:
  sudo -E env \"PATH=$PATH\" cargo xtask bench peers
  cargo xtask bench peers --kernel 6.1                 tier 1, as AL2023 has it
  cargo xtask bench peers --kernel 6.1 --arch arm64    tier 2, on Graviton's architecture";

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args { what } = args;
    match what {
        None => agent(),
        Some(What::Agent(place)) => match place.machine()? {
            None => agent(),
            Some((kernel, arch)) => {
                setup::prepare(setup::Purpose::Vm)?;
                vm::bench(kernel, arch, &Bench::Agent)
            }
        },
        Some(What::Peers { quick, place }) => match place.machine()? {
            None => measure(|bench| peers(bench, *quick)),
            Some((kernel, arch)) => {
                setup::prepare(setup::Purpose::Vm)?;
                let root = unpacked(arch)?;
                let quick = *quick;
                vm::bench(kernel, arch, &Bench::Peers { root, quick })
            }
        },
        Some(What::Collector { options }) => collector(options),
    }
}

fn agent() -> Result<()> {
    measure(|bench| {
        bench.arg("agent");
        Ok(())
    })
}

/// Runs `tests/bench` with what `task` adds to its arguments.
fn measure(task: impl FnOnce(&mut Command) -> Result<()>) -> Result<()> {
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
    let mut bench = Command::new(paths::target().join("release/archtrace-bench"));
    bench
        .arg("--programs")
        .arg(programs)
        .arg("--emulator")
        .arg(emulator::static_qemu(host)?);
    task(&mut bench)?;
    let status = bench.status().context("start the benchmark")?;
    ensure!(status.success(), "the benchmark ended with {status}");
    Ok(())
}

/// The peers, in the cache.
fn unpacked(arch: Arch) -> Result<PathBuf> {
    ensure!(
        apt::is_here(),
        "the peers are Debian's packages, and this machine has no apt"
    );
    apt::unpack_all(SUITE, arch.as_str(), &PEERS)
}

fn peers(bench: &mut Command, quick: bool) -> Result<()> {
    let host = Arch::host().context("there are no peers for this machine's CPU")?;
    bench.arg("peers").arg("--root").arg(unpacked(host)?);
    if quick {
        bench.arg("--quick");
    }
    // What a terminal sends goes to the benchmark as well: it cleans up, and is waited for.
    for signal in [SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::default()).context("watch for signals")?;
    }
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
