//! Cgroups that are removed again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::unistd::Pid;

use crate::wait::eventually;

const PODS: &str = "/kubepods.slice/kubepods-besteffort.slice";

/// A cgroup (version 2) that exists as long as this lives, with those above it that were missing.
#[derive(Debug)]
pub struct Cgroup {
    /// Its path from the root of the hierarchy.
    name: String,
    dir: PathBuf,
    /// What has to be removed, the innermost last.
    ours: Vec<PathBuf>,
}

impl Cgroup {
    /// Makes `name`, an absolute path in the hierarchy.
    ///
    /// # Errors
    /// If no hierarchy of version 2 is mounted, or this process may not.
    pub fn make(name: &str) -> Result<Self> {
        let mut cgroup = Self {
            name: name.to_owned(),
            dir: hierarchy()?,
            ours: Vec::new(),
        };
        for part in name.split('/').filter(|part| !part.is_empty()) {
            cgroup.dir.push(part);
            if !cgroup.dir.is_dir() {
                fs::create_dir(&cgroup.dir)
                    .with_context(|| format!("create {}", cgroup.dir.display()))?;
                cgroup.ours.push(cgroup.dir.clone());
            }
        }
        Ok(cgroup)
    }

    /// Where the cgroups of [`Cgroup::container`] are. To be held where several of those are, since
    /// the first of them would otherwise have to go last.
    ///
    /// # Errors
    /// See [`Cgroup::make`].
    pub fn pods() -> Result<Self> {
        Self::make(PODS)
    }

    /// The cgroup that Kubernetes (systemd driver, containerd) gives to a container. `number` makes
    /// it unique in this process.
    ///
    /// # Errors
    /// See [`Cgroup::make`].
    pub fn container(number: u32) -> Result<Self> {
        let id = std::process::id();
        let pod = format!("{id:08x}_0000_4000_8000_{number:012x}");
        Self::make(&format!(
            "{PODS}/kubepods-besteffort-pod{pod}.slice/cri-containerd-{id:032x}{number:032x}.scope"
        ))
    }

    /// Its path from the root of the hierarchy.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// CPU time of all that ever ran in it (`cpu.stat`).
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn usage(&self) -> Result<Duration> {
        let file = self.dir.join("cpu.stat");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let micros = text
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "))
            .with_context(|| format!("no usage in {}", file.display()))?;
        Ok(Duration::from_micros(micros.parse()?))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        while let Some(dir) = self.ours.pop() {
            // Who has just ended may still be counted as being in there.
            let removed = eventually(Duration::from_secs(2), || Ok(fs::remove_dir(&dir)?));
            if let Err(error) = removed {
                eprintln!("could not remove {}: {error:#}", dir.display());
            }
        }
    }
}

/// The processes in the cgroup `name`, in the order in which the kernel tells them.
///
/// # Errors
/// If it is not there.
pub fn processes(name: &str) -> Result<Vec<Pid>> {
    let file = hierarchy()?
        .join(name.trim_start_matches('/'))
        .join("cgroup.procs");
    let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let pids = text.lines().map(|line| Ok(Pid::from_raw(line.parse()?)));
    pids.collect()
}

/// Where the hierarchy is mounted.
fn hierarchy() -> Result<PathBuf> {
    let table = fs::read_to_string("/proc/self/mounts").context("read /proc/self/mounts")?;
    table
        .lines()
        .find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let path = fields.next()?;
            (fields.next()? == "cgroup2").then(|| PathBuf::from(path))
        })
        .context("no cgroup hierarchy of version 2 is mounted")
}
