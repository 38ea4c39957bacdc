//! Debian packages: installed on this machine, or fetched for another suite or architecture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

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
    } = package;
    let version = version
        .map(|version| format!("={version}"))
        .unwrap_or_default();
    let dir = paths::cache()?
        .join("packages")
        .join(suite)
        .join(arch)
        .join(format!("{name}{version}"));
    if dir.is_dir() {
        return Ok(dir);
    }
    progress::during(&format!("download {name} of {suite} for {arch}"), || {
        let parent = dir.parent().unwrap_or(&dir);
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        // Beside its final place, which is only ever there as a whole.
        let work = tempfile::Builder::new()
            .prefix(".unpack")
            .tempdir_in(parent)?;
        let deb = download(package, work.path())?;
        let files = work.path().join("files");
        fs::create_dir(&files)?;
        extract(&deb, &files, patterns).with_context(|| format!("unpack {}", deb.display()))?;
        match fs::rename(&files, &dir) {
            // Somebody else was faster; both have the same files.
            Err(_) if dir.is_dir() => Ok(()),
            other => other.with_context(|| format!("rename to {}", dir.display())),
        }
    })?;
    Ok(dir)
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
        .env("LC_ALL", "C");
    command
}

/// Downloads `package` into `dir` by an apt set-up of its own, so that this machine's sources,
/// lists and architectures stay as they are. apt verifies what it gets against Debian's keys.
fn download(package: Package<'_>, dir: &Path) -> Result<PathBuf> {
    let Package {
        suite,
        arch,
        name,
        version,
    } = package;
    let state = paths::cache()?.join("apt").join(format!("{suite}-{arch}"));
    for sub in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(state.join(sub))
            .with_context(|| format!("create {}", state.display()))?;
    }
    fs::write(state.join("status"), "")?;
    let sources = state.join("sources.list");
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    fs::write(
        &sources,
        format!("deb [signed-by={keys}] {} {suite} main\n", mirror(suite)?),
    )?;
    let tool = |tool: &str| {
        let mut command = apt(tool);
        let options = [
            ("Dir::State", state.display().to_string()),
            (
                "Dir::State::Lists",
                state.join("lists").display().to_string(),
            ),
            (
                "Dir::State::status",
                state.join("status").display().to_string(),
            ),
            ("Dir::Cache", state.join("cache").display().to_string()),
            ("Dir::Etc::sourcelist", sources.display().to_string()),
            ("Dir::Etc::sourceparts", "-".to_owned()),
            ("APT::Architecture", arch.to_owned()),
            ("APT::Architectures", arch.to_owned()),
            ("APT::Sandbox::User", "root".to_owned()),
            ("Acquire::Retries", "3".to_owned()),
            ("Acquire::Languages", "none".to_owned()),
        ];
        command.arg("-qq").args(
            options
                .iter()
                .flat_map(|(key, value)| ["-o".to_owned(), format!("{key}={value}")]),
        );
        command.stdin(Stdio::null()).current_dir(dir);
        command
    };
    output(tool("apt-get").arg("update"))?;
    let depends = output(tool("apt-cache").args(["depends", name]))?;
    let image = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|dependency| dependency.starts_with("linux-image-") && dependency.contains('.'));
    let wanted = match version {
        Some(version) => format!("{name}={version}"),
        None => image.unwrap_or(name).to_owned(),
    };
    output(tool("apt-get").args(["download", &wanted]))?;
    let mut debs = fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path()));
    debs.find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get download {wanted} left no file"))
}

/// Where `suite` comes from: where this machine gets that suite, else where it gets its own.
fn mirror(suite: &str) -> Result<String> {
    let targets = |format: &str| output(apt("apt-get").args(["indextargets", "--format", format]));
    let mut sites = targets("$(SITE) $(RELEASE)")?;
    if sites.trim().is_empty() {
        // A fresh image has sources, but no lists yet.
        if nix::unistd::geteuid().is_root() {
            update()?;
        }
        sites = targets("$(SITE) $(RELEASE)")?;
    }
    let pairs: Vec<_> = sites
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let same = pairs.iter().find(|(_, release)| *release == suite);
    let main = || {
        pairs
            .iter()
            .find(|(site, release)| !release.contains('-') && site.contains("debian"))
    };
    let (site, _) = same
        .or_else(main)
        .with_context(|| format!("apt knows no mirror for {suite}; run: apt-get update"))?;
    Ok((*site).to_owned())
}

/// What `command` prints.
fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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
        .arg("--wildcards")
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
