//! Whether a program is the same when it is built elsewhere: one commit, two directories, two builds.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::build::{self, Place};
use super::commit::Commit;
use super::size;
use crate::vm::Arch;
use crate::{paths, progress};

/// What is built: of all programs the one with most that could differ, eBPF programs and C code.
const PACKAGE: &str = "archtrace-agent";

/// Builds the agent for `arch` here and, of the same commit, elsewhere; compares.
///
/// # Errors
/// If a build fails, or if the programs differ; says where, and keeps both.
pub(super) fn check(arch: Arch) -> Result<()> {
    let commit = Commit::of(paths::root())?;
    ensure!(
        !commit.dirty,
        "the same commit is built twice, and there are changes that are in none: commit or stash them"
    );
    let target = paths::target();
    let here = Place {
        source: paths::root(),
        target: &target,
    };
    let one = build::build(here, PACKAGE, arch, commit.time)?.join(PACKAGE);
    let work = tempfile::Builder::new()
        .prefix("archtrace-twice-")
        .tempdir()?;
    // Of another length and depth: what shifts offsets or changes an order shows.
    let (source, target) = (
        work.path().join("of/another/length/source"),
        work.path().join("built"),
    );
    checkout(&commit, &source)?;
    let elsewhere = Place {
        source: &source,
        target: &target,
    };
    let two = build::build(elsewhere, PACKAGE, arch, commit.time)?.join(PACKAGE);
    match difference(&one, &two)? {
        None => {
            println!(
                "{PACKAGE} for {} is the same from two places: sha256:{}, {} in {}",
                arch.as_str(),
                build::digest(&one)?,
                size::mib(fs::metadata(&one)?.len()),
                one.display()
            );
            Ok(())
        }
        Some(what) => {
            let kept = work.keep();
            bail!(
                "{PACKAGE} for {} differs: {what}. The second is kept in {}; diffoscope compares it with {}",
                arch.as_str(),
                kept.display(),
                one.display()
            )
        }
    }
}

/// The files of `commit`, without its history.
fn checkout(commit: &Commit, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    progress::during("take the files of the commit", || {
        let mut archive = Command::new("git")
            .args(["archive", "--format=tar", &commit.id])
            .current_dir(paths::root())
            .stdout(Stdio::piped())
            .spawn()
            .context("start git")?;
        let output = archive.stdout.take().context("no pipe from git")?;
        let status = Command::new("tar")
            .arg("-xC")
            .arg(dir)
            .stdin(output)
            .status()
            .context("start tar")?;
        ensure!(status.success(), "tar ended with {status}");
        let status = archive.wait()?;
        ensure!(status.success(), "git archive ended with {status}");
        Ok(())
    })
}

/// In what two files differ, if they do.
fn difference(one: &Path, two: &Path) -> Result<Option<String>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
    let (one, two) = (read(one)?, read(two)?);
    let at = one.iter().zip(&two).position(|(a, b)| a != b);
    Ok(match at {
        None if one.len() == two.len() => None,
        None => Some(format!("{} bytes against {}", one.len(), two.len())),
        Some(at) => {
            let differ = one.iter().zip(&two).filter(|(a, b)| a != b).count();
            Some(format!(
                "{differ} bytes of {} and {}, the first at {at}",
                one.len(),
                two.len()
            ))
        }
    })
}
