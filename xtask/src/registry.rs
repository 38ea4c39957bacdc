//! A registry for tests on this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::vm::Arch;
use crate::{apt, paths};

/// Names the program to tests; `tests/distribution` has the same name.
pub(crate) const VARIABLE: &str = "ARCHTRACE_REGISTRY";

/// Debian's docker-registry: one that is named or installed, else that of the package, taken out of it, since
/// its installation would start a service of the whole machine.
///
/// # Errors
/// If it has to be fetched and cannot be; says what to do.
pub(crate) fn program() -> Result<PathBuf> {
    if let Some(set) = std::env::var_os(VARIABLE).filter(|set| !set.is_empty()) {
        if !Path::new(&set).is_file() {
            bail!("{VARIABLE} is {}, which is no file", set.display());
        }
        return Ok(set.into());
    }
    if let Some(installed) = paths::program("docker-registry") {
        return Ok(installed);
    }
    let host = Arch::host().filter(|_| apt::is_here());
    let host = host.with_context(|| {
        format!(
            "docker-registry is missing; set {VARIABLE} to the program (distribution 2.8 or newer)"
        )
    })?;
    let package = apt::Package {
        suite: "bookworm",
        arch: host.as_str(),
        name: "docker-registry",
        version: None,
        part: "",
    };
    let dir = apt::unpack(package, &["./usr/bin/docker-registry"])?;
    Ok(dir.join("usr/bin/docker-registry"))
}
