//! A root file system of 60,000 files: what the audit finds there, and how fast (`cargo xtask
//! scan-bench`).
//!
//! It is made of Debian's packages for both architectures, which are kept in the cache; `tests/tree`
//! links them into one tree and plants what is to be found.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::apt::{self, Package};
use crate::vm::Arch;
use crate::{binaries, paths, progress};

/// The suite that the packages are of.
const SUITE: &str = "bookworm";
/// What large images are made of: interpreters with extension modules, a JVM, compilers, desktops'
/// libraries, debug information, sources with files for tests.
const PACKAGES: [&str; 18] = [
    "systemd",
    "perl",
    "python3-numpy",
    "python3-scipy",
    "python3-lxml",
    "python3-pandas",
    "node-sqlite3",
    "openjdk-17-jre-headless",
    "g++",
    "golang-1.19-src",
    "git",
    "vim-runtime",
    "qtbase5-dev",
    "libgtk-3-dev",
    "libicu-dev",
    "libpython3.11-dev",
    "libc6-dbg",
    "libboost1.74-dev",
];

#[derive(clap::Args)]
#[command(
    after_help = "The first time, it downloads about 800 MB of packages. The machine should have nothing else to do."
)]
pub(crate) struct Args {
    /// How often each contestant looks at the tree
    #[arg(long, default_value_t = 9)]
    rounds: u32,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args { rounds } = args;
    let host = Arch::host().context("there is no scanelf for this machine's CPU")?;
    let package = Package {
        suite: SUITE,
        arch: host.as_str(),
        name: "pax-utils",
        version: None,
        part: "",
    };
    let scanelf = apt::unpack(package, &["./usr/bin/scanelf"])?.join("usr/bin/scanelf");
    let build = [
        "build",
        "--release",
        "--locked",
        "--package",
        "archtrace-cli",
    ];
    progress::command("build archtrace", binaries::cargo().args(build))?;
    let mut bench = program("bench")?;
    bench
        .arg("--scanelf")
        .arg(scanelf)
        .arg("--archtrace")
        .arg(paths::target().join("release/archtrace"))
        .args(["--rounds", &rounds.to_string()]);
    let status = bench.status().context("start the benchmark")?;
    ensure!(status.success(), "the benchmark ended with {status}");
    Ok(())
}

/// Compares what is found with what was planted.
///
/// # Errors
/// If there is no such tree, or if they differ.
pub(crate) fn check() -> Result<()> {
    progress::command("look at 60,000 files", &mut program("check")?)
}

/// A task of `tests/tree`, with the roots it looks at.
fn program(task: &str) -> Result<Command> {
    let root = |arch: Arch| -> Result<PathBuf> { apt::unpack_all(SUITE, arch.as_str(), &PACKAGES) };
    let (native, foreign) = (root(Arch::Arm64)?, root(Arch::Amd64)?);
    let build = [
        "build",
        "--release",
        "--locked",
        "--package",
        "archtrace-tree",
    ];
    progress::command("build tests/tree", binaries::cargo().args(build))?;
    let mut command = Command::new(paths::target().join("release/archtrace-tree"));
    command.arg(task);
    command.arg("--native").arg(native);
    command.arg("--foreign").arg(foreign);
    Ok(command)
}
