//! The user-mode emulators: QEMU as one static file.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::apt;
use crate::vm::Arch;

/// A static program that runs on `host` and interprets the programs of the other architecture.
///
/// This machine's own is preferred. Else it is taken out of Debian's package without installing
/// that, since its installation may register handlers for the whole machine.
///
/// # Errors
/// If it has to be fetched and cannot be.
pub(crate) fn static_qemu(host: Arch) -> Result<PathBuf> {
    let name = match host {
        Arch::Amd64 => "qemu-aarch64-static",
        Arch::Arm64 => "qemu-x86_64-static",
    };
    let installed = PathBuf::from("/usr/bin").join(name);
    if Arch::host() == Some(host) && installed.exists() {
        return Ok(installed);
    }
    ensure!(
        apt::is_here(),
        "{} is missing; install your distribution's static user-mode QEMU",
        installed.display()
    );
    let package = apt::Package {
        suite: "bookworm",
        arch: host.as_str(),
        name: "qemu-user-static",
        version: None,
        part: "",
    };
    let dir = apt::unpack(
        package,
        &[
            "./usr/bin/qemu-aarch64-static",
            "./usr/bin/qemu-x86_64-static",
        ],
    )?;
    Ok(dir.join("usr/bin").join(name))
}
