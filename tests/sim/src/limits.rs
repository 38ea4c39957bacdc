//! What the system allows this process.

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Allows as many open files as this process may have: each agent has a connection.
///
/// # Errors
/// If the system does not tell.
pub fn raise_descriptors() -> Result<()> {
    let (_, most) =
        getrlimit(Resource::RLIMIT_NOFILE).context("ask for the limit of open files")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("raise the limit of open files")
}
