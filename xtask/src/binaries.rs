//! Builds the programs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::vm::Arch;
use crate::{paths, progress, toolchain};

/// The profile of the programs in tests; its directory has the same name.
const PROFILE: &str = "release-tests";

/// Plain `cargo build --release`, as users do it. Returns the directory of the programs.
///
/// # Errors
/// If the build fails.
pub(crate) fn build() -> Result<PathBuf> {
    progress::command(
        "build the programs",
        cargo().args(["build", "--release", "--locked"]),
    )?;
    Ok(paths::target().join("release"))
}

/// Static programs for `arch` that need nothing but a kernel, the virtual machines' init among
/// them, and those of `further` packages. Returns their directory.
///
/// # Errors
/// If a compiler is missing or the build fails.
pub(crate) fn build_static(arch: Arch, further: &[&str]) -> Result<PathBuf> {
    let title = format!("build static programs for {}", arch.as_str());
    let environment = toolchain::static_build(arch)?;
    let packages = [
        "archtrace-agent",
        "archtrace-collector",
        "archtrace-cli",
        "archtrace-vm-tests",
    ];
    let mut cargo = cargo();
    cargo.args([
        "build",
        "--profile",
        PROFILE,
        "--locked",
        // The clients of what no test has there, such as Kubernetes' API: minutes of compiling.
        "--no-default-features",
        "--target",
        arch.target(),
    ]);
    let packages = packages.iter().chain(further);
    cargo.args(packages.flat_map(|package| ["--package", package]));
    cargo.envs(environment);
    progress::command(&title, &mut cargo)?;
    Ok(paths::target().join(arch.target()).join(PROFILE))
}

/// cargo, in this workspace.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::root());
    cargo
}
