//! Builds programs so that they are the same wherever and whenever they are built.
//!
//! What rustc, cargo and C compilers would put of a machine into a program are the names of directories.
//! They are told other ones. What is left to be equal are the tools themselves: provenance names them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::toolchain::{self, Static};
use crate::vm::Arch;
use crate::{paths, progress};

/// The profile of what users get; its directory has the same name.
pub(crate) const PROFILE: &str = "release";

/// Between flags in `CARGO_ENCODED_RUSTFLAGS` (cargo's reference, Environment Variables).
const SEPARATOR: &str = "\x1f";

/// What somebody's shell may have set, and what would get into programs: what the names of variables begin with
/// that choose compilers, their flags and how programs are optimised (cargo's reference, Environment Variables; the
/// cc crate's documentation).
const UNWANTED: [&str; 14] = [
    "CARGO_PROFILE",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTFLAGS",
    "RUSTC",
    "RUSTFLAGS",
    "CC",
    "CXX",
    "CFLAGS",
    "CXXFLAGS",
    "AR",
    "ARFLAGS",
    "RANLIB",
    "RANLIBFLAGS",
];

/// Whether a variable would get into programs. The cc crate knows names for the machine that builds and for the one
/// that it builds for, too, and ones that go on with a target.
fn is_unwanted(name: &str) -> bool {
    let of_machine = name.strip_prefix("HOST_").or(name.strip_prefix("TARGET_"));
    let name = of_machine.unwrap_or(name);
    UNWANTED.iter().any(|unwanted| {
        let rest = name.strip_prefix(unwanted);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

/// Where a build reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The root of the workspace.
    pub(crate) source: &'a Path,
    /// Cargo's target directory.
    pub(crate) target: &'a Path,
}

/// Builds the program of `package` for `arch`, and returns the directory that it is in.
///
/// Each package by itself: built together, each would have the features of what others need.
///
/// # Errors
/// If a compiler is missing or the build fails.
pub(crate) fn build(place: Place<'_>, package: &str, arch: Arch, epoch: i64) -> Result<PathBuf> {
    let Place { source, target } = place;
    let title = format!("build {package} for {}", arch.as_str());
    let Static { environment, flags } = Static::of(arch)?;
    let renames = renames(place, arch)?;
    let remap = renames
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let flags: Vec<_> = flags.into_iter().chain(remap).collect();
    let c_flags: Vec<_> = renames
        .iter()
        .map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()))
        .collect();
    let lower = arch.target().replace('-', "_");
    let mut cargo = Command::new("cargo");
    let set = std::env::vars_os().map(|(name, _)| name);
    for name in set.filter(|name| is_unwanted(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    cargo
        .current_dir(source)
        .args([
            "build",
            "--profile",
            PROFILE,
            "--locked",
            "--package",
            package,
        ])
        .args(["--target", arch.target(), "--target-dir"])
        .arg(target)
        .envs(environment)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join(SEPARATOR))
        .env(format!("CFLAGS_{lower}"), c_flags.join(" "))
        .env("CARGO_INCREMENTAL", "0")
        // What asks for the time while it is compiled gets the commit's, and sorts as everywhere.
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .env("ZERO_AR_DATE", "1")
        .env("LC_ALL", "C")
        .env("TZ", "UTC");
    progress::command(&title, &mut cargo)?;
    Ok(target.join(arch.target()).join(PROFILE))
}

/// Directories and what programs know them by. Of several that fit, rustc and GCC take the last.
fn renames(place: Place<'_>, arch: Arch) -> Result<Vec<(PathBuf, String)>> {
    let mut renames = vec![
        (place.source.to_owned(), "/archtrace".to_owned()),
        (paths::cargo_home()?, "/cargo".to_owned()),
        (place.target.to_owned(), "/target".to_owned()),
    ];
    // Where the source of the standard library is installed, rustc would name that rather than what
    // the library itself says.
    if let Some((source, name)) = toolchain::library_source(arch)? {
        renames.push((source, name));
    }
    let odd = renames
        .iter()
        .map(|(from, _)| from)
        .find(|from| from.to_string_lossy().contains([' ', '=']));
    if let Some(odd) = odd {
        anyhow::bail!(
            "compilers cannot be told of {}: build where no directory has a space or = in its name",
            odd.display()
        );
    }
    Ok(renames)
}

/// The SHA-256 of a file, in hexadecimal digits.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn digest(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(super::sha256(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_get_into_programs_is_left_out() {
        for name in [
            "CARGO_PROFILE_RELEASE_DEBUG",
            "CARGO_PROFILE_RELEASE_OPT_LEVEL",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_BUILD_RUSTC_WRAPPER",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTFLAGS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_BOOTSTRAP",
            "CC",
            "CC_aarch64_unknown_linux_gnu",
            "CC_x86_64-unknown-linux-gnu",
            "AR",
            "AR_x86_64_unknown_linux_gnu",
            "CFLAGS",
            "CFLAGS_x86_64_unknown_linux_gnu",
            "HOST_CC",
            "TARGET_CFLAGS",
        ] {
            assert!(is_unwanted(name), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "CARGO",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_JOBS",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
            "HOST_NAME",
            "ARCHTRACE_CHART_PYTHON",
            "ARCH",
            "CCACHE_DIR",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert!(!is_unwanted(name), "{name}");
        }
    }
}
