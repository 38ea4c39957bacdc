//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Downloads and what was unpacked from them: outside of the tree, so that neither `cargo clean`
/// nor a fresh checkout fetches them again.
///
/// # Errors
/// If neither `$ARCHTRACE_CACHE` nor `$XDG_CACHE_HOME` nor `$HOME` is set.
pub(crate) fn cache() -> Result<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("ARCHTRACE_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("archtrace")))
        .or_else(|| Some(set("HOME")?.join(".cache/archtrace")))
        .context("no place for downloads: set ARCHTRACE_CACHE to a directory")
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Where the output of the programs that tasks start goes.
pub(crate) fn logs() -> PathBuf {
    target().join("xtask")
}

/// Where `cargo install` puts programs that only these tasks use.
///
/// # Errors
/// See [`cache`].
pub(crate) fn tools() -> Result<PathBuf> {
    Ok(cache()?.join("tools"))
}

/// Where cargo keeps what it downloads and installs.
///
/// # Errors
/// If neither `$CARGO_HOME` nor `$HOME` is set.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
        .context("cargo's directory is not known: set CARGO_HOME")
}

/// The first file called `name` in `$PATH`, in cargo's directory of installed programs, or among
/// the tools of these tasks.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(cargo_home().ok().map(|home| home.join("bin")))
        .chain(tools().ok().map(|tools| tools.join("bin")))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}
