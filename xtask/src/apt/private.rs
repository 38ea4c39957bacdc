//! An apt set-up of its own, so that this machine's sources, lists and architectures stay as they are.
//! apt verifies what it gets against Debian's keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::{Package, apt, update};
use crate::output::output;
use crate::paths;

/// Downloads `package` into `dir`.
pub(super) fn download(package: Package<'_>, dir: &Path) -> Result<PathBuf> {
    let Package {
        suite,
        arch,
        name,
        version,
        part: _,
    } = package;
    let apt = prepare(suite, arch, dir)?;
    let depends = output(apt("apt-cache").args(["depends", name]))?;
    let image = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|dependency| dependency.starts_with("linux-image-") && dependency.contains('.'));
    let wanted = match version {
        Some(version) => format!("{name}={version}"),
        None => image.unwrap_or(name).to_owned(),
    };
    output(apt("apt-get").args(["download", &wanted]))?;
    let debs = packages_in(dir)?;
    debs.into_iter()
        .next()
        .with_context(|| format!("apt-get download {wanted} left no file"))
}

/// Downloads `names` and all they depend on into `dir`, and returns the files, sorted.
pub(super) fn download_all(
    suite: &str,
    arch: &str,
    names: &[&str],
    dir: &Path,
) -> Result<Vec<PathBuf>> {
    let apt = prepare(suite, arch, dir)?;
    // In this set-up nothing is installed, so that all of it is told.
    let closure = output(
        apt("apt-get")
            .args(["-o", "pkgCacheGen::Essential=none"])
            .args(["install", "-y", "--no-install-recommends", "--print-uris"])
            .args(names),
    )?;
    // 'http://…/name_version_arch.deb' name_version_arch.deb size hash
    let wanted = closure.lines().filter_map(|line| {
        let mut parts = line.split(' ').nth(1)?.split('_');
        // A colon is escaped there, since it is no letter of a URI.
        let (name, version) = (parts.next()?, parts.next()?.replace("%3a", ":"));
        Some(format!("{name}={version}"))
    });
    let wanted: Vec<_> = wanted.collect();
    output(apt("apt-get").arg("download").args(&wanted))?;
    packages_in(dir)
}

/// Fetches the lists of `suite` for `arch`; what is returned makes commands that know them and
/// download into `dir`.
fn prepare(suite: &str, arch: &str, dir: &Path) -> Result<impl Fn(&str) -> Command> {
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
    let at = |sub: &str| state.join(sub).display().to_string();
    let options = [
        ("Dir::State", state.display().to_string()),
        ("Dir::State::Lists", at("lists")),
        ("Dir::State::status", at("status")),
        ("Dir::Cache", at("cache")),
        ("Dir::Etc::sourcelist", sources.display().to_string()),
        ("Dir::Etc::sourceparts", "-".to_owned()),
        ("APT::Architecture", arch.to_owned()),
        ("APT::Architectures", arch.to_owned()),
        ("APT::Sandbox::User", "root".to_owned()),
        ("Acquire::Retries", "3".to_owned()),
        ("Acquire::Languages", "none".to_owned()),
    ]
    .map(|(key, value)| format!("{key}={value}"));
    let dir = dir.to_owned();
    let tool = move |tool: &str| {
        let mut command = apt(tool);
        command.arg("-qq");
        command.args(options.iter().flat_map(|option| ["-o", option]));
        command.stdin(Stdio::null()).current_dir(&dir);
        command
    };
    output(tool("apt-get").arg("update"))?;
    Ok(tool)
}

/// The packages in `dir`, by name.
fn packages_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))?;
    let mut debs: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    debs.sort();
    Ok(debs)
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
