//! The initramfs of a virtual machine: the programs, an emulator, modules, and the cases as init.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Machine, deploy};
use crate::cpio::Archive;
use crate::kernel::Kernel;
use crate::{emulator, paths};

/// What every machine has.
const PROGRAMS: [&str; 4] = [
    "archtrace",
    "archtrace-agent",
    "archtrace-collector",
    "archtrace-vm-tests",
];

/// Writes the initramfs for `machine`, with `further` of the `programs` and with what is to be deployed there,
/// and returns its path.
///
/// # Errors
/// If one of its files is missing or it cannot be written.
pub(super) fn make(
    machine: Machine,
    kernel: &Kernel,
    programs: &Path,
    further: &[&str],
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
    let names = PROGRAMS.iter().chain(further);
    let own = names.map(|name| (format!("bin/{name}"), programs.join(name)));
    let emulator = (
        "bin/emulator".to_owned(),
        emulator::static_qemu(machine.arch)?,
    );
    // They are loaded in the order of their names.
    let modules = kernel
        .modules
        .iter()
        .enumerate()
        .map(|(at, module)| (format!("modules/{at:02}.ko"), module.clone()));
    for (name, source) in own.chain([emulator]).chain(modules) {
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
