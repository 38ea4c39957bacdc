//! What an init has to do before and after.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;

use anyhow::{Context as _, Result};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

use crate::loopback;

/// Mounts what a node has mounted, loads the module of `binfmt_misc`, brings up the loopback.
///
/// # Errors
/// If the kernel refuses one of these.
pub(crate) fn prepare() -> Result<()> {
    let file_systems = [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/tmp"),
        ("cgroup2", "/sys/fs/cgroup"),
    ];
    for (kind, path) in file_systems {
        mount(Some(kind), path, Some(kind), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("mount {kind} at {path}"))?;
    }
    // Where the kernel says that a program is that was executed by a descriptor.
    symlink("/proc/self/fd", "/dev/fd").context("link /dev/fd")?;
    // Its mount point is there with or without it.
    if !fs::read_to_string("/proc/filesystems")?.contains("binfmt_misc") {
        let module = "/binfmt_misc.ko";
        let file = File::open(module).with_context(|| format!("open {module}"))?;
        finit_module(&file, c"", ModuleInitFlags::empty())
            .with_context(|| format!("load {module}"))?;
    }
    loopback::up().context("bring up the loopback interface")?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("    | kernel {}", release.trim());
    Ok(())
}

/// Ends the machine. Returns only if the kernel refuses to.
pub(crate) fn power_off() {
    // The console may still hold lines.
    let _ = std::io::stdout().flush();
    let error = reboot(RebootMode::RB_POWER_OFF);
    println!("could not power off: {error:?}");
}
