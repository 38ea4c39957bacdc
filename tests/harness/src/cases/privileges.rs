//! What a program may do once it runs, by what the kernel says of each of its threads (proc_pid_status(5)).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;

use super::Outcome;
use crate::world::{Place, World};

/// Numbers of capabilities (include/uapi/linux/capability.h).
pub(super) const DAC_READ_SEARCH: u64 = 1 << 2;
pub(super) const SYS_PTRACE: u64 = 1 << 19;
pub(super) const PERFMON: u64 = 1 << 38;
pub(super) const BPF: u64 = 1 << 39;

/// The first kernel on which maps can be used without `CAP_BPF`.
const MAPS_ARE_FREE: (u32, u32) = (5, 19);

/// `SECCOMP_MODE_FILTER` (seccomp(2)).
const FILTER: u8 = 2;

/// The rights of each of a program's threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    pub(super) user: u32,
    /// Capabilities that are in force, and that can be put in force.
    pub(super) capabilities: u64,
    /// What bounds them, if that is known.
    pub(super) bounding: Option<u64>,
    /// Whether seccomp filters what it asks of the kernel, if that is known.
    pub(super) filtered: Option<bool>,
}

impl Rights {
    /// Holds all threads of `process` against them. None may get more by an exec.
    pub(super) fn check(self, process: Pid) -> Result<()> {
        let tasks = PathBuf::from(format!("/proc/{process}/task"));
        let tasks = fs::read_dir(&tasks).with_context(|| format!("read {}", tasks.display()))?;
        let mut threads = 0;
        for task in tasks {
            let file = task?.path().join("status");
            let status = fs::read_to_string(&file);
            let status = status.with_context(|| format!("read {}", file.display()))?;
            self.hold(&status)
                .with_context(|| file.display().to_string())?;
            threads += 1;
        }
        ensure!(threads > 0, "{process} has no threads");
        Ok(())
    }

    fn hold(self, status: &str) -> Result<()> {
        let Self {
            user,
            capabilities,
            bounding,
            filtered,
        } = self;
        let fields = status.lines().filter_map(|line| line.split_once(':'));
        let fields: BTreeMap<_, _> = fields.map(|(key, value)| (key, value.trim())).collect();
        let ids = format!("{user}\t{user}\t{user}\t{user}");
        let set = |bits: u64| Some(format!("{bits:016x}"));
        let mode = filtered.map(|filtered| u8::from(filtered) * FILTER);
        for (key, expected) in [
            ("Uid", Some(ids.clone())),
            ("Gid", Some(ids)),
            ("CapInh", set(0)),
            ("CapPrm", set(capabilities)),
            ("CapEff", set(capabilities)),
            ("CapBnd", bounding.and_then(set)),
            ("CapAmb", set(0)),
            ("NoNewPrivs", Some("1".to_owned())),
            ("Seccomp", mode.map(|mode| mode.to_string())),
        ] {
            let Some(expected) = expected else {
                continue;
            };
            let is = fields.get(key).copied();
            ensure!(is == Some(&*expected), "{key} is {is:?}, not {expected}");
        }
        Ok(())
    }
}

/// What an agent needs to look around, once it is attached. On older kernels also to use its maps.
pub(super) fn looking() -> Result<u64> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split('.').map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        anyhow::bail!("{release:?} is no version of Linux")
    };
    let looking = DAC_READ_SEARCH | SYS_PTRACE;
    Ok(if (major, minor) < MAPS_ARE_FREE {
        looking | BPF
    } else {
        looking
    })
}

/// An agent of root's, who may do everything, has given up all but what it needs. That it needs no more, the
/// other cases show.
pub(super) fn given_up(world: &mut World) -> Result<Outcome> {
    let capabilities = looking()?;
    let rights = Rights {
        user: 0,
        capabilities,
        // On a machine that is a container itself, root may not be allowed to change it.
        bounding: (world.place() == Place::Vm).then_some(capabilities),
        filtered: None,
    };
    rights.check(world.agent()?.pid())?;
    Ok(Outcome::Pass(format!("keeps {capabilities:#x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_more_is_found() {
        let status = |user: u32, effective: u64, gain: u32| {
            format!(
                "Name:\ta\nUid:\t{user}\t{user}\t{user}\t{user}\nGid:\t{user}\t{user}\t{user}\t{user}\n\
                 CapInh:\t{0:016x}\nCapPrm:\t{effective:016x}\nCapEff:\t{effective:016x}\n\
                 CapBnd:\t{1:016x}\nCapAmb:\t{0:016x}\nNoNewPrivs:\t{gain}\nSeccomp:\t2\n",
                0, BPF
            )
        };
        let rights = Rights {
            user: 7,
            capabilities: BPF,
            bounding: Some(BPF),
            filtered: Some(true),
        };
        rights.hold(&status(7, BPF, 1)).expect("as it should be");
        for status in [
            status(0, BPF, 1),
            status(7, BPF | PERFMON, 1),
            status(7, BPF, 0),
            String::new(),
        ] {
            rights.hold(&status).expect_err("another");
        }
    }
}
