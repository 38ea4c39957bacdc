//! The benchmark that compares the agent with others, which are on a disk.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::machine;

/// On the kernel's command line where it is wanted; its value is `quick` where little is.
pub(crate) const OPTION: &str = "archtrace.bench";

const PEERS: &str = "/peers";

/// Prints what it prints, each line behind `bench| `, and `end bench ok` or what failed.
pub(crate) fn run(amount: &str) {
    match measure(amount == "quick") {
        Ok(()) => println!("end bench ok"),
        Err(error) => println!("end bench {error:#}"),
    }
}

fn measure(quick: bool) -> Result<()> {
    machine::say_kernel()?;
    fs::create_dir(PEERS)?;
    machine::mount_disk(PEERS)?;
    let mut bench = Command::new("/bin/archtrace-bench");
    bench
        .args(["--programs", "/bin", "--emulator", "/bin/emulator"])
        .args(["peers", "--root", PEERS, "--counted"]);
    if quick {
        bench.arg("--quick");
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
