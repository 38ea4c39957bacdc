//! Whether SBOMs are what CycloneDX's schema asks for, by its own library for Python.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{apt, paths, progress};

/// Pinned, since newer ones may bring other schemas.
const LIBRARY: &str = "cyclonedx-python-lib[json-validation]==11.12.0";

const SCRIPT: &str = "xtask/src/image/schema.py";

/// Compares `files` with the schema.
///
/// # Errors
/// If one does not fit, or the library cannot be had.
pub(super) fn check(files: &[PathBuf]) -> Result<()> {
    let mut python = Command::new(install()?);
    python
        .arg(paths::root().join(SCRIPT))
        .args(files)
        .current_dir(paths::root());
    progress::command("compare SBOMs with the schema", &mut python)
}

/// A Python that has the library, after that was installed if need be.
fn install() -> Result<PathBuf> {
    let dir = paths::tools()?.join("cyclonedx");
    let python = dir.join("bin/python");
    // Written last.
    let done = dir.join("done");
    if done.is_file() {
        return Ok(python);
    }
    if apt::is_here() && apt::version_of("python3-venv").is_none() {
        eprintln!(
            "setup: python3-venv is missing (installs CycloneDX's library, which checks SBOMs)"
        );
        apt::install(&["python3-venv"])?;
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(&dir);
    progress::command("make a place for CycloneDX's library", &mut venv)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", LIBRARY]);
    progress::command("pip install cyclonedx", &mut pip)?;
    std::fs::write(done, "")?;
    Ok(python)
}
