//! Disks of machines: Debian's packages as they are unpacked, and what they need besides.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use super::Arch;
use crate::{apt, paths, progress};

const SUITE: &str = "bookworm";

/// runc is among what containerd needs, and asks systemd for its cgroups without D-Bus's daemon.
const PACKAGES: [&str; 2] = ["containerd", "systemd"];

/// The packages take 250 MiB, tests' images and containers less than that. The file is sparse.
const SIZE: &str = "1G";

/// What PID 1 of a node finds besides the packages. `init` in [`super::image`] has put the programs to
/// `/opt/archtrace` before.
const FILES: [(&str, &str); 8] = [
    ("etc/group", "root:x:0:\n"),
    ("etc/hostname", "node\n"),
    // containerd copies both for each pod.
    ("etc/hosts", "127.0.0.1 localhost node\n"),
    ("etc/resolv.conf", ""),
    ("etc/machine-id", "00000000000000000000000000000001\n"),
    ("etc/passwd", "root:x:0:0:root:/root:/bin/false\n"),
    (
        "etc/systemd/system/archtrace.service",
        "\
[Unit]
Description=Test cases
DefaultDependencies=no

[Service]
ExecStart=/opt/archtrace/archtrace-vm-tests
StandardOutput=file:/dev/console
StandardError=file:/dev/console
",
    ),
    (
        "etc/systemd/system/archtrace.target",
        "\
[Unit]
Description=A node with pods
DefaultDependencies=no
Wants=archtrace.service
",
    ),
];

/// Mount points, and where programs keep things.
const DIRECTORIES: [&str; 10] = [
    "dev",
    "etc/systemd/system",
    "opt/archtrace",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "var/lib",
    "var/tmp",
];

/// They look for disks, consoles and the like, which takes seconds on an emulated CPU.
const GENERATORS: &str = "usr/lib/systemd/system-generators";

/// What is on a disk besides the packages.
#[derive(Clone, Copy, Debug)]
struct Content {
    files: &'static [(&'static str, &'static str)],
    directories: &'static [&'static str],
    /// Of the packages.
    without: &'static [&'static str],
}

const NODE: Content = Content {
    files: &FILES,
    directories: &DIRECTORIES,
    without: &[GENERATORS],
};

/// Mount points: peers see the kernel's file systems of the machine, and files of the run.
const PEERS: Content = Content {
    files: &[],
    directories: &["dev", "proc", "sys", "tmp"],
    without: &[],
};

/// The disk of a node with pods for `arch`, Debian's systemd, containerd and runc and nothing else, made
/// if it is not in the cache. Machines get a copy-on-write view of it.
///
/// # Errors
/// If the packages cannot be had, or the file system not be made.
pub(crate) fn disk(arch: Arch) -> Result<PathBuf> {
    let packages = apt::unpack_all(SUITE, arch.as_str(), &PACKAGES)?;
    make(arch, &packages, NODE)
}

/// The disk with what the agent is compared with, as it was unpacked.
///
/// # Errors
/// If the file system cannot be made.
pub(super) fn of_peers(arch: Arch, packages: &Path) -> Result<PathBuf> {
    make(arch, packages, PEERS)
}

fn make(arch: Arch, packages: &Path, content: Content) -> Result<PathBuf> {
    let contents = packages.join(apt::CONTENTS);
    let contents = fs::read(&contents).with_context(|| format!("read {}", contents.display()))?;
    let recipe = format!("{content:?}{SIZE}");
    let digest = Sha256::new().chain_update(contents).chain_update(recipe);
    let digest: String = digest
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let dir = paths::cache()?.join("disks");
    let path = dir.join(format!("{}-{digest}.ext4", arch.as_str()));
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    progress::during(&format!("make a disk for {}", arch.as_str()), || {
        // On the file system of the packages, so that their files need no copies.
        let work = tempfile::Builder::new().prefix(".disk").tempdir_in(&dir)?;
        let root = work.path().join("root");
        fill(packages, &root, content)?;
        let file = work.path().join("disk");
        File::create(&file).with_context(|| format!("create {}", file.display()))?;
        ended(
            Command::new("/sbin/mke2fs")
                .args(["-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d"])
                .args([&root, &file])
                .arg(SIZE),
        )?;
        fs::rename(&file, &path).with_context(|| format!("rename to {}", path.display()))
    })?;
    Ok(path)
}

fn fill(packages: &Path, root: &Path, content: Content) -> Result<()> {
    let Content {
        files,
        directories,
        without,
    } = content;
    ended(Command::new("cp").arg("-al").args([packages, root]))?;
    for dir in without {
        fs::remove_dir_all(root.join(dir)).with_context(|| format!("remove {dir}"))?;
    }
    for dir in directories {
        fs::create_dir_all(root.join(dir)).with_context(|| format!("create {dir} of the disk"))?;
    }
    for (name, text) in files {
        let file = root.join(name);
        // Not into the package's file, which is linked.
        if file.exists() {
            fs::remove_file(&file).with_context(|| format!("replace {}", file.display()))?;
        }
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

fn ended(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
