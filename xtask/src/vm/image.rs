//! The initramfs of a virtual machine: the programs, an emulator, modules, and the cases as init.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Machine, deploy};
use crate::cpio::Archive;
use crate::kernel::Kernel;
use crate::{emulator, paths};

/// Writes the initramfs for `machine`, with what is to be deployed there, and returns its path.
///
/// # Errors
/// If one of its files is missing or it cannot be written.
pub(super) fn make(
    machine: Machine,
    kernel: &Kernel,
    programs: &Path,
    deployed: &[deploy::File],
) -> Result<PathBuf> {
    let path = paths::logs().join(format!("{}.cpio", machine.name().replace(' ', "-")));
    fs::create_dir_all(paths::logs())?;
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    // Not compressed: unpacking costs an emulated CPU more than the kernel's reading of it.
    let mut archive = Archive::new(BufWriter::new(file));
    for dir in ["bin", "dev", "modules", "proc", "root", "sys", "tmp"] {
        archive.directory(dir)?;
    }
    // Before devtmpfs is mounted the kernel gives init this console.
    archive.device("dev/console", (5, 1))?;
    let files = [
        (
            "bin/archtrace-vm-tests",
            programs.join("archtrace-vm-tests"),
        ),
        ("bin/archtrace", programs.join("archtrace")),
        ("bin/archtrace-agent", programs.join("archtrace-agent")),
        (
            "bin/archtrace-collector",
            programs.join("archtrace-collector"),
        ),
        ("bin/emulator", emulator::static_qemu(machine.arch)?),
    ];
    // They are loaded in the order of their names.
    let modules = kernel
        .modules
        .iter()
        .enumerate()
        .map(|(at, module)| (format!("modules/{at:02}.ko"), module.clone()));
    let files = files.map(|(name, source)| (name.to_owned(), source));
    for (name, source) in files.into_iter().chain(modules) {
        let content = fs::read(&source).with_context(|| format!("read {}", source.display()))?;
        archive
            .file(&name, &content)
            .with_context(|| format!("write {}", path.display()))?;
    }
    if !deployed.is_empty() {
        archive.directory("bin/deploy")?;
    }
    for (name, content) in deployed {
        archive
            .file(&format!("bin/deploy/{name}"), content)
            .with_context(|| format!("write {}", path.display()))?;
    }
    archive.link("init", "bin/archtrace-vm-tests")?;
    archive
        .finish()
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
