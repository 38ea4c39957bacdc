//! File systems that are mounted only if they are missing, and unmounted again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::mount::{MsFlags, mount, umount};

/// A file system that stays mounted as long as this lives.
#[derive(Debug)]
pub struct Mount {
    /// `None` if somebody else had mounted it.
    ours: Option<PathBuf>,
}

impl Mount {
    /// Mounts a file system of type `kind` at `path`, unless one is there.
    ///
    /// # Errors
    /// If this process may not, or the kernel has no such file system.
    pub fn ensure(kind: &str, path: &Path) -> Result<Self> {
        if is_mounted(kind, path) {
            return Ok(Self { ours: None });
        }
        mount(Some(kind), path, Some(kind), MsFlags::empty(), None::<&str>).with_context(|| {
            format!(
                "mount {kind} at {} (it needs root and, where it is a module: modprobe {kind})",
                path.display()
            )
        })?;
        Ok(Self {
            ours: Some(path.to_owned()),
        })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(path) = &self.ours
            && let Err(error) = umount(path)
        {
            eprintln!("could not unmount {}: {error}", path.display());
        }
    }
}

/// Whether the mount table (`proc_pid_mounts(5)`) has `kind` at `path`.
fn is_mounted(kind: &str, path: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    table.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        fields.next().map(Path::new) == Some(path) && fields.next() == Some(kind)
    })
}
