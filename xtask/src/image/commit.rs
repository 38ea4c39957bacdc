//! The commit that images are made of.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// What is known of the source.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    /// Its name: 40 hexadecimal digits.
    pub(crate) id: String,
    /// When it was committed, in seconds since 1970 (`SOURCE_DATE_EPOCH` if that is set).
    pub(crate) time: i64,
    /// Whether files differ from it.
    pub(crate) dirty: bool,
}

impl Commit {
    /// What is checked out at `root`.
    ///
    /// # Errors
    /// If that is no git repository.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let id = git(root, &["rev-parse", "HEAD"])?;
        let time = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(set) => set.parse().with_context(|| {
                format!("SOURCE_DATE_EPOCH is {set:?}, and no seconds since 1970")
            })?,
            Err(_) => git(root, &["show", "--no-patch", "--format=%ct", "HEAD"])?
                .parse()
                .context("git tells no time of the commit")?,
        };
        let dirty = !git(root, &["status", "--porcelain"])?.is_empty();
        Ok(Self { id, time, dirty })
    }

    /// One that need not be there, so that what is made does not depend on what is checked out.
    pub(crate) fn of_tests() -> Self {
        Self {
            id: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            time: 1_700_000_000,
            dirty: false,
        }
    }

    /// The same after something was built of it at `root`: with what was changed meanwhile.
    ///
    /// # Errors
    /// If something else is checked out by now.
    pub(crate) fn again(&self, root: &Path) -> Result<Self> {
        let now = Self::of(root)?;
        if now.id != self.id {
            bail!(
                "the build began with commit {}, and {} is checked out by now: leave the clone alone while images \
                 are made, or make them in one of its own, and begin again",
                self.id,
                now.id
            );
        }
        let dirty = self.dirty || now.dirty;
        if dirty && !self.dirty {
            eprintln!(
                "warning: files were changed while they were built; the image says so (-dirty)"
            );
        }
        Ok(Self { dirty, ..now })
    }

    /// The commit's name, and whether what was built is that commit.
    pub(crate) fn revision(&self) -> String {
        let suffix = if self.dirty { "-dirty" } else { "" };
        format!("{}{suffix}", self.id)
    }

    /// When it was committed, as RFC 3339 has it.
    ///
    /// # Errors
    /// If that is no time of these millennia.
    pub(crate) fn created(&self) -> Result<String> {
        let time = jiff::Timestamp::from_second(self.time).context("SOURCE_DATE_EPOCH")?;
        Ok(time.to_string())
    }
}

fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output()
        .context("start git")?;
    if !output.status.success() {
        bail!(
            "images name the commit that they are made of, and git tells none ({}): make them in a clone",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_commit_is_what_was_committed() {
        let dir = tempfile::tempdir().expect("a directory");
        let run = |arguments: &[&str]| {
            let status = Command::new("git")
                .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
                .args(["-c", "commit.gpgsign=false"])
                .args(arguments)
                .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05+01:00")
                .current_dir(dir.path())
                .status();
            assert!(status.expect("git").success(), "git {arguments:?}");
        };
        let error = Commit::of(dir.path()).expect_err("no repository");
        assert!(
            error.to_string().contains("make them in a clone"),
            "{error}"
        );
        run(&["init", "--quiet"]);
        fs::write(dir.path().join("file"), "").expect("writes");
        run(&["add", "file"]);
        run(&["commit", "--quiet", "--message", "x"]);
        let commit = Commit::of(dir.path()).expect("a commit");
        assert_eq!(
            commit.created().ok().as_deref(),
            Some("2026-01-02T02:04:05Z")
        );
        assert_eq!(commit.revision(), commit.id);
        assert_eq!(commit.id.len(), 40);
        fs::write(dir.path().join("file"), "changed").expect("writes");
        let again = commit.again(dir.path()).expect("the same commit");
        let changed = Commit::of(dir.path()).expect("a commit");
        for commit in [&again, &changed] {
            assert_eq!(commit.revision(), format!("{}-dirty", commit.id));
        }
        run(&["commit", "--quiet", "--all", "--message", "y"]);
        // What was built of changed files stays so.
        let clean = Commit::of(dir.path()).expect("a commit");
        assert_eq!(changed.dirty, !clean.dirty);
        let error = commit.again(dir.path()).expect_err("another commit");
        assert!(error.to_string().contains("begin again"), "{error}");
    }
}
