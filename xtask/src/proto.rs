//! `cargo xtask proto`: whether the protocol is written well, and still what was published.
//!
//! buf does both. It comes as a package of npm, the only registry among ours that has it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{apt, paths, progress};

/// Pinned, since newer ones may have newer rules.
const BUF: &str = "@bufbuild/buf@1.75.0";

/// What was published last, as `buf build` writes it: whoever speaks it has to be understood.
const PUBLISHED: &str = "proto/published.binpb";

const EXAMPLES: &str = "\
Examples:
  cargo xtask proto            lint, and what would break whoever speaks what was published
  cargo xtask proto --publish  the protocol as it is becomes what later changes are held against";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write proto/published.binpb, whatever it breaks
    #[arg(long)]
    publish: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    if !args.publish {
        return check();
    }
    buf("lint the protocol", ["lint", "proto"])?;
    buf("publish the protocol", ["build", "proto", "-o", PUBLISHED])
}

/// Lints the protocol and compares it with what was published.
///
/// # Errors
/// If either finds something, or buf cannot be had.
pub(crate) fn check() -> Result<()> {
    buf("lint the protocol", ["lint", "proto"])?;
    let against = ["breaking", "proto", "--against", PUBLISHED];
    buf("compare with the published protocol", against)
}

fn buf(title: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<()> {
    let mut buf = Command::new(install()?);
    // It would ask for a newer version of itself otherwise.
    buf.env("BUF_BETA_SUPPRESS_WARNINGS", "1")
        .args(arguments)
        .current_dir(paths::root());
    progress::command(title, &mut buf)
}

/// Where buf is, after it was installed if need be.
fn install() -> Result<PathBuf> {
    let dir = paths::tools()?.join("npm");
    let program = dir.join("node_modules/.bin/buf");
    if program.is_file() {
        return Ok(program);
    }
    if paths::program("npm").is_none() {
        eprintln!("setup: npm is missing (installs buf, which checks the protocol)");
        apt::install(&["npm"])?;
    }
    std::fs::create_dir_all(&dir)?;
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--no-save",
        "--prefix",
    ])
    .arg(&dir)
    .arg(BUF)
    .current_dir(&dir);
    progress::command("npm install buf", &mut npm)?;
    Ok(program)
}
