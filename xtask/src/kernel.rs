//! Debian's kernels, as the matrix needs them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::apt;
use crate::vm::{Arch, Version};

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// The image, in the form that QEMU's `-kernel` takes.
    pub(crate) image: PathBuf,
    /// The modules that a machine loads, as plain ELF, in the order in which it does.
    pub(crate) modules: Vec<PathBuf>,
}

/// What every machine needs.
const HANDLERS: [&str; 1] = ["binfmt_misc"];

/// What a machine with a disk needs first; newer kernels have it built in.
const BUS: [&str; 5] = [
    "virtio",
    "virtio_ring",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
];

/// What a machine with a disk and containers needs besides; ext4 is built in.
const DISK: [&str; 2] = ["virtio_blk", "overlay"];

/// Fetches the kernel if it is not in the cache.
///
/// # Errors
/// If it cannot be fetched, or its package does not hold what is expected.
pub(crate) fn get(version: Version, arch: Arch) -> Result<Kernel> {
    let patterns = ["./boot/vmlinuz-*", "*/fs/binfmt_misc.ko*"];
    fetch(version, arch, "", &patterns, &HANDLERS)
}

/// The same, with the modules of a machine that has a disk and containers.
///
/// # Errors
/// See [`get`].
pub(crate) fn with_disk(version: Version, arch: Arch) -> Result<Kernel> {
    let patterns = [
        "./boot/vmlinuz-*",
        "*/fs/binfmt_misc.ko*",
        "*/drivers/virtio/virtio*.ko*",
        "*/drivers/block/virtio_blk.ko*",
        "*/fs/overlayfs/overlay.ko*",
    ];
    let modules = [&BUS[..], &DISK, &HANDLERS].concat();
    fetch(version, arch, "+disk", &patterns, &modules)
}

fn fetch(
    version: Version,
    arch: Arch,
    part: &str,
    patterns: &[&str],
    modules: &[&str],
) -> Result<Kernel> {
    let suite = match version {
        Version::V5_10 => "bullseye",
        Version::V6_1 => "bookworm",
        Version::V6_12 => "bookworm-backports",
    };
    let name = match (version, arch) {
        // Debian 11 has no cloud flavour for arm64.
        (Version::V5_10, Arch::Arm64) => "linux-image-arm64",
        (_, Arch::Arm64) => "linux-image-cloud-arm64",
        (_, Arch::Amd64) => "linux-image-cloud-amd64",
    };
    let package = apt::Package {
        suite,
        arch: arch.as_str(),
        name,
        version: None,
        part,
    };
    let dir = apt::unpack(package, patterns)?;
    let file = |name: &str| find(&dir, &format!("{name}.ko"));
    let modules = modules
        .iter()
        .filter(|name| !BUS.contains(name) || file(name).is_ok())
        .map(|name| uncompressed(file(name)?));
    Ok(Kernel {
        image: find(&dir.join("boot"), "vmlinuz-")?,
        modules: modules.collect::<Result<_>>()?,
    })
}

/// The first file below `dir` whose name starts with `prefix`.
fn find(dir: &Path, prefix: &str) -> Result<PathBuf> {
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
            let path = entry?.path();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
            } else if path
                .file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|name| name.starts_with(prefix))
            {
                return Ok(path);
            }
        }
    }
    bail!(
        "{} holds no {prefix}*; remove that directory to fetch it again",
        dir.display()
    )
}

/// Newer packages compress their modules, which `finit_module` does not take by default.
fn uncompressed(module: PathBuf) -> Result<PathBuf> {
    let tool = match module.extension().and_then(OsStr::to_str) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return Ok(module),
    };
    let plain = module.with_extension("");
    let output = Command::new(tool)
        .arg("-dc")
        .arg(&module)
        .output()
        .with_context(|| format!("start {tool}"))?;
    ensure!(
        output.status.success(),
        "{tool} could not unpack {}",
        module.display()
    );
    fs::write(&plain, output.stdout).with_context(|| format!("write {}", plain.display()))?;
    fs::remove_file(&module).with_context(|| format!("remove {}", module.display()))?;
    Ok(plain)
}
