//! A container runtime for tests on this machine.

use std::path::PathBuf;

use anyhow::Result;

use crate::apt;
use crate::vm::Arch;

/// Directories with Debian's containerd and runc, taken out of their packages: installing them would
/// start a service of the whole machine. They need no more libraries than apt itself.
///
/// # Errors
/// If they have to be fetched and cannot be.
pub(crate) fn programs(arch: Arch) -> Result<Vec<PathBuf>> {
    let package = |name, pattern: &str| {
        let package = apt::Package {
            suite: "bookworm",
            arch: arch.as_str(),
            name,
            version: None,
            part: "",
        };
        apt::unpack(package, &[pattern])
    };
    Ok(vec![
        package("containerd", "./usr/bin/*")?.join("usr/bin"),
        package("runc", "./usr/sbin/*")?.join("usr/sbin"),
    ])
}
