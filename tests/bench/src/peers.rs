//! `cargo xtask bench peers`: the agent beside other programs that tell of execs, in one run.
//!
//! Execs that are timed take turns, with a tool and without any. Other tools print or write the
//! arguments of whatever runs on the machine; here they are read, counted, and forgotten.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Isa, Program};
use archtrace_harness::mount::Mount;
use archtrace_harness::world::Config;

use self::audit::Audit;
use self::measure::{Amounts, SHELLS, measure, shells, slower};
use self::snoop::Snoop;
use self::table::Alone;
use self::tool::{Archtrace, Nothing, Root, Tool};

mod audit;
mod interrupt;
mod measure;
mod snoop;
mod table;
mod tool;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where Debian's auditd, bpftrace and libbpf-tools were unpacked
    #[arg(long)]
    root: PathBuf,
    /// A little of everything, to see whether it works; the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// This is a virtual machine in which each instruction takes a nanosecond
    #[arg(long)]
    counted: bool,
}

const FULL: Amounts = Amounts {
    execs: 4000,
    pairs: 12,
    batch: 1000,
    // Native counters are read once in that time.
    idle: Duration::from_secs(20),
    shell_execs: 2500,
};

/// Where instructions are counted there is no chance that more would even out, and each takes its time.
const COUNTED: Amounts = Amounts {
    execs: 1000,
    pairs: 6,
    batch: 200,
    idle: Duration::from_secs(20),
    shell_execs: 250,
};

const QUICK: Amounts = Amounts {
    execs: 200,
    pairs: 2,
    batch: 50,
    idle: Duration::from_secs(1),
    shell_execs: 100,
};

pub(crate) fn print(config: Config, args: &Args) -> Result<()> {
    let Args {
        root,
        quick,
        counted,
    } = args;
    let amounts = match (quick, counted) {
        (true, _) => QUICK,
        (false, true) => COUNTED,
        (false, false) => FULL,
    };
    interrupt::watch()?;
    let _tracefs = Mount::ensure("tracefs", Path::new("/sys/kernel/tracing"))?;
    let mut world = crate::world(config)?;
    let tier = world.header_tier()?;
    world.kill_agent()?;
    let native = crate::native(&world, Path::new("native"))?;
    let isa = Isa::native().context("there are no guests for this machine's CPU")?;
    let times = amounts.shell_execs;
    let shell = world.program("shell", isa, Program::Shell { times })?;
    // Each has a storm of its own, so that nothing of another's is taken for it.
    let storms = ["a", "b", "c", "d"]
        .map(|name| crate::native(&world, &Path::new("storm").with_extension(name)));
    eprintln!("measuring nothing");
    shells(&shell, &native)?;
    let alone = Alone {
        tier,
        rate: f64::from(SHELLS * times) / shells(&shell, &native)?.as_secs_f64(),
        slower: slower(&mut Nothing, &native, amounts)?,
    };

    let dir = world.dir().join("peers");
    fs::create_dir(&dir)?;
    let root = Root {
        root: root.clone(),
        dir,
    };
    let bpftrace = &["/usr/bin/bpftrace", "/usr/sbin/execsnoop.bt"];
    let target = PathBuf::new();
    // The kernel's audit comes last: once it was on, each process started afterwards has a record of its own.
    let mut tools: [Box<dyn Tool + '_>; 4] = [
        Box::new(Archtrace {
            world: &mut world,
            target,
        }),
        Box::new(Snoop::new(
            "bpftrace execsnoop.bt",
            &root,
            bpftrace,
            &native,
        )),
        Box::new(Snoop::new(
            "libbpf-tools execsnoop",
            &root,
            &["/usr/sbin/execsnoop"],
            &native,
        )),
        Box::new(Audit::new(&root)),
    ];
    let mut figures = Vec::new();
    for (tool, storm) in tools.iter_mut().zip(storms) {
        eprintln!("measuring {}", tool.name());
        let measured = measure(tool.as_mut(), amounts, [&native, &shell, &storm?]);
        interrupt::check()?;
        if let Err(error) = &measured {
            eprintln!("{} could not be measured: {error:#}", tool.name());
        }
        figures.push(measured.ok());
    }
    ensure!(
        figures.first().is_some_and(Option::is_some),
        "without archtrace there is nothing to compare"
    );
    let names: Vec<_> = tools.iter().map(|tool| tool.name()).collect();
    println!("{}", place(&root.root, tier)?);
    if *counted {
        println!("a nanosecond is an instruction here, whatever it takes on a CPU\n");
    }
    print!("{}", table::table(&names, &figures, alone));
    Ok(())
}

/// Where it was measured, and what.
fn place(root: &Path, tier: u64) -> Result<String> {
    let release =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("read the kernel's release")?;
    let cpus = std::thread::available_parallelism()?;
    let packages = root.join(".packages");
    let packages =
        fs::read_to_string(&packages).with_context(|| format!("read {}", packages.display()))?;
    let peers: Vec<_> = ["auditd_", "bpftrace_", "libbpf-tools_"]
        .iter()
        .filter_map(|name| packages.lines().find(|package| package.starts_with(name)))
        .collect();
    Ok(format!(
        "Linux {}, {}, {cpus} CPUs, archtrace in tier {tier}; {}\n",
        release.trim(),
        std::env::consts::ARCH,
        peers.join(", ")
    ))
}
