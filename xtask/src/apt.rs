//! Debian packages: installed on this machine, or fetched for another suite or architecture.

mod private;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::{paths, progress};

/// Whether this machine has apt.
pub(crate) fn is_here() -> bool {
    paths::program("apt-get").is_some()
}

/// Installs `packages` from the suites that this machine is set up with.
///
/// # Errors
/// If not root, or if apt fails.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let command = format!(
        "apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    );
    ensure!(
        nix::unistd::geteuid().is_root(),
        "these packages are missing and only root may install them; run: sudo sh -c 'apt-get update && {command}'"
    );
    update()?;
    progress::command(
        "apt-get install",
        apt("apt-get")
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages),
    )
}

/// A package to fetch, which is not installed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package<'a> {
    /// Such as `bookworm-backports`.
    pub(crate) suite: &'a str,
    /// Such as `arm64`.
    pub(crate) arch: &'a str,
    /// A kernel's meta-package (`linux-image-cloud-amd64`) stands for the image it depends on.
    pub(crate) name: &'a str,
    /// The newest if `None`.
    pub(crate) version: Option<&'a str>,
    /// Tells unpacked parts of one package from each other; empty for the usual one.
    pub(crate) part: &'a str,
}

/// The files of `package` that match `patterns` (as tar understands them), unpacked into a
/// directory of the cache. Nothing is downloaded if they are there already.
///
/// # Errors
/// If apt cannot get the package, or it cannot be unpacked.
pub(crate) fn unpack(package: Package<'_>, patterns: &[&str]) -> Result<PathBuf> {
    let Package {
        suite,
        arch,
        name,
        version,
        part,
    } = package;
    let version = version
        .map(|version| format!("={version}"))
        .unwrap_or_default();
    let dir = paths::cache()?
        .join("packages")
        .join(suite)
        .join(arch)
        .join(format!("{name}{version}{part}"));
    let title = format!("download {name} of {suite} for {arch}");
    once(&dir, &title, |work, files| {
        let deb = private::download(package, work)?;
        extract(&deb, files, patterns).with_context(|| format!("unpack {}", deb.display()))
    })?;
    Ok(dir)
}

/// The file of a directory of [`unpack_all`] that names what is in there.
pub(crate) const CONTENTS: &str = ".packages";

/// What `names` and all they depend on install, unpacked into one directory of the cache, which is
/// laid out like the root of a merged `/usr`. Nothing of it has run, so no package is set up.
///
/// # Errors
/// If apt cannot get one of them, or it cannot be unpacked.
pub(crate) fn unpack_all(suite: &str, arch: &str, names: &[&str]) -> Result<PathBuf> {
    let set = names.join("+");
    let dir = paths::cache()?.join("roots").join(suite).join(arch);
    let dir = dir.join(&set);
    let title = format!("download {set} and what that needs, of {suite} for {arch}");
    once(&dir, &title, |work, files| {
        for top in ["bin", "lib", "lib64", "sbin"] {
            fs::create_dir_all(files.join("usr").join(top))?;
            symlink(Path::new("usr").join(top), files.join(top))?;
        }
        let mut contents = String::new();
        for deb in private::download_all(suite, arch, names, work)? {
            extract(&deb, files, &UNREAD).with_context(|| format!("unpack {}", deb.display()))?;
            let name = deb.file_name().unwrap_or_default();
            contents.push_str(&format!("{}\n", name.display()));
        }
        fs::write(files.join(CONTENTS), contents).context("write the list of packages")
    })?;
    Ok(dir)
}

/// What no program reads.
const UNREAD: [&str; 4] = [
    "--exclude=./usr/share/doc",
    "--exclude=./usr/share/man",
    "--exclude=./usr/share/locale",
    "--exclude=./usr/share/info",
];

/// Has `fill` make the directory `dir`, unless it is there, with a place for what it downloads.
fn once(dir: &Path, title: &str, fill: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    progress::during(title, || {
        let parent = dir.parent().unwrap_or(dir);
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        // Beside its final place, which is only ever there as a whole.
        let work = tempfile::Builder::new()
            .prefix(".unpack")
            .tempdir_in(parent)?;
        let files = work.path().join("files");
        fs::create_dir(&files)?;
        fill(work.path(), &files)?;
        match fs::rename(&files, dir) {
            // Somebody else was faster; both have the same files.
            Err(_) if dir.is_dir() => Ok(()),
            other => other.with_context(|| format!("rename to {}", dir.display())),
        }
    })
}

/// The version of an installed package.
pub(crate) fn version_of(package: &str) -> Option<String> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", package])
        .output()
        .ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !version.is_empty()).then_some(version)
}

/// `apt-get update`, once at most where the lists are missing.
fn update() -> Result<()> {
    progress::command("apt-get update", apt("apt-get").arg("update"))
}

fn apt(tool: &str) -> Command {
    let mut command = Command::new(tool);
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        // What is configured here stays as it is.
        .env("UCF_FORCE_CONFFOLD", "1")
        .env("LC_ALL", "C");
    command
}

/// `dpkg-deb --fsys-tarfile | tar -x`, since a kernel package holds far more than its kernel.
fn extract(deb: &Path, dir: &Path, patterns: &[&str]) -> Result<()> {
    let mut archive = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = archive.stdout.take().context("no pipe from dpkg-deb")?;
    let status = Command::new("tar")
        .arg("-x")
        // The links at the top of a merged /usr stay links.
        .args(["--wildcards", "--keep-directory-symlink"])
        .arg("-C")
        .arg(dir)
        .args(patterns)
        .stdin(stdout)
        .status()?;
    ensure!(
        status.success(),
        "tar ended with {status}; wanted were {}",
        patterns.join(" ")
    );
    let status = archive.wait()?;
    ensure!(status.success(), "dpkg-deb ended with {status}");
    Ok(())
}
