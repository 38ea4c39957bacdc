//! One tree of several, without copying a file.

use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Links what is below `from` into `to`, where that has nothing of that name.
pub(crate) fn link(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("read {}", from.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("read {}", from.display()))?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        let made = if kind.is_dir() {
            fs::create_dir(&target)
        } else if kind.is_symlink() {
            fs::read_link(entry.path()).and_then(|link| symlink(link, &target))
        } else {
            fs::hard_link(entry.path(), &target)
        };
        ignore_existing(made).with_context(|| format!("make {}", target.display()))?;
        if kind.is_dir() && is_dir(&entry, &target) {
            link(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Whether both are directories, rather than links to some.
fn is_dir(entry: &DirEntry, target: &Path) -> bool {
    let is = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    is(&entry.path()) && is(target)
}

fn ignore_existing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}
