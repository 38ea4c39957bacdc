//! Benchmarks; what the agent is compared with is on a disk.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::machine;

/// On the kernel's command line where one is wanted, with its name, and what else it is told.
pub(crate) const OPTION: &str = "archtrace.bench";

const PEERS: &str = "/peers";

/// Execs for the kernel time: each costs the same here.
const EXECS: &str = "2000";

/// Prints what it prints, each line behind `bench| `, and `end bench ok` or what failed.
pub(crate) fn run(wanted: &str) {
    match measure(wanted) {
        Ok(()) => println!("end bench ok"),
        Err(error) => println!("end bench {error:#}"),
    }
}

fn measure(wanted: &str) -> Result<()> {
    machine::say_kernel()?;
    let mut bench = Command::new("/bin/archtrace-bench");
    bench.args(["--programs", "/bin", "--emulator", "/bin/emulator"]);
    let (name, amount) = wanted.split_once(',').unwrap_or((wanted, ""));
    if name == "agent" {
        bench.args(["agent", "--execs", EXECS]);
    } else {
        fs::create_dir(PEERS)?;
        machine::mount_disk(PEERS)?;
        bench.args(["peers", "--root", PEERS, "--counted"]);
        if amount == "quick" {
            bench.arg("--quick");
        }
    }
    let mut bench = bench
        .stdout(Stdio::piped())
        .spawn()
        .context("start the benchmark")?;
    let output = bench.stdout.take().context("no pipe from the benchmark")?;
    for line in BufReader::new(output).lines() {
        println!("bench| {}", line?);
    }
    let status = bench.wait()?;
    ensure!(status.success(), "the benchmark ended with {status}");
    Ok(())
}
