//! `cargo xtask chart`: the Helm chart, rendered by Helm and held against schemas and the programs.
//!
//! Helm is its own library, which comes as a package of PyPI, as do the schemas of Kubernetes and of the CRDs:
//! the only registry among ours that has them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{apt, paths, progress};

/// Names a Python with these packages to tests; `tests/chart` has the same name.
const VARIABLE: &str = "ARCHTRACE_CHART_PYTHON";

/// Has the manifest written anew; `tests/chart` has the same name.
const WRITE: &str = "ARCHTRACE_CHART_WRITE";

/// Pinned, since newer ones may know other fields.
const PACKAGES: [&str; 4] = [
    "helm-python-sdk==0.2.2",
    "kubernetes-validate==1.37.0",
    "cloudcoil-models-cert-manager==1.17.1.0",
    "cloudcoil-models-prometheus-operator==0.80.1.0",
];

const EXAMPLES: &str = "\
Examples:
  cargo xtask chart           lint it, render it for every set of values, and check what it makes
  cargo xtask chart --write   the same, and write deploy/manifests/archtrace.yaml anew";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write deploy/manifests/archtrace.yaml, rather than compare
    #[arg(long)]
    write: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let mut command = command()?;
    if args.write {
        command.env(WRITE, "1");
    }
    progress::command("test the chart", &mut command)
}

/// Runs the tests of the chart.
///
/// # Errors
/// If one fails, or what they need cannot be had.
pub(crate) fn check() -> Result<()> {
    progress::command("test the chart", &mut command()?)
}

fn command() -> Result<Command> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--package", "archtrace-chart", "--locked"])
        .current_dir(paths::root())
        .env(VARIABLE, python()?);
    Ok(cargo)
}

/// A Python that has the packages, which are installed if need be.
///
/// # Errors
/// If they cannot be; says what to do.
pub(crate) fn python() -> Result<PathBuf> {
    let dir = paths::tools()?.join("chart");
    let python = dir.join("bin/python");
    let stamp = dir.join("packages");
    let wanted = PACKAGES.join("\n");
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    let host = host_python()?;
    let mut make = Command::new(host);
    make.args(["-m", "venv", "--clear"]).arg(&dir);
    progress::command("make a Python environment for the chart", &mut make)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check"])
        .args(PACKAGES);
    progress::command("pip install Helm and schemas", &mut pip)?;
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))?;
    Ok(python)
}

/// One that makes environments: Debian's comes without.
fn host_python() -> Result<PathBuf> {
    let makes = |python: &Path| {
        let modules = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
        let tried = Command::new(python)
            .args([OsStr::new("-c"), OsStr::new(modules)])
            .output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let found = || paths::program("python3").filter(|python| makes(python));
    if let Some(python) = found() {
        return Ok(python);
    }
    eprintln!("setup: Python 3.10 with venv is missing (runs Helm and schemas for the chart)");
    if !apt::is_here() {
        bail!("install Python 3.10 or later with its module venv");
    }
    apt::install(&["python3-venv"])?;
    found().context("python3-venv is installed, and python3 still makes no environments")
}
