//! What an init has to do before and after.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_harness::wait::eventually;
use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

use crate::loopback;

/// Where the initramfs has modules, in the order in which they are to be loaded.
const MODULES: &str = "/modules";

/// Mounts what a node has mounted besides, loads the modules, brings up the loopback.
///
/// # Errors
/// If the kernel refuses one of these.
pub(crate) fn prepare() -> Result<()> {
    for (kind, path) in [
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/tmp"),
        ("cgroup2", "/sys/fs/cgroup"),
    ] {
        attach(kind, path)?;
    }
    // Where the kernel says that a program is that was executed by a descriptor.
    symlink("/proc/self/fd", "/dev/fd").context("link /dev/fd")?;
    load_modules()?;
    loopback::up().context("bring up the loopback interface")?;
    say_kernel()
}

/// Mounts a file system that has no device.
///
/// # Errors
/// If the kernel refuses to.
pub(crate) fn attach(kind: &str, path: &str) -> Result<()> {
    mount(Some(kind), path, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("mount {kind} at {path}"))
}

const DISK: &str = "/dev/vda";

/// Mounts the disk, whose driver is among the modules.
///
/// # Errors
/// If it does not show up, or the kernel refuses it.
pub(crate) fn mount_disk(path: &str) -> Result<()> {
    // The driver finds it when it has the time.
    eventually(Duration::from_secs(30), || {
        ensure!(Path::new(DISK).exists(), "there is no {DISK}");
        Ok(())
    })?;
    let flags = MsFlags::MS_NOATIME;
    mount(Some(DISK), path, Some("ext4"), flags, None::<&str>)
        .with_context(|| format!("mount {DISK} at {path}"))
}

/// What the kernel's command line has for `name`, if it is there: empty where it has no value.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn option(name: &str) -> Result<Option<String>> {
    let line = fs::read_to_string("/proc/cmdline").context("read the kernel's command line")?;
    Ok(line.split_whitespace().find_map(|word| {
        let value = word.strip_prefix(name)?;
        if value.is_empty() {
            return Some(String::new());
        }
        Some(value.strip_prefix('=')?.to_owned())
    }))
}

/// Prints which kernel runs.
///
/// # Errors
/// If it does not say.
pub(crate) fn say_kernel() -> Result<()> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("    | kernel {}", release.trim());
    Ok(())
}

/// Loads what the initramfs has of modules.
///
/// # Errors
/// If the kernel refuses one.
pub(crate) fn load_modules() -> Result<()> {
    let entries = fs::read_dir(MODULES).with_context(|| format!("read {MODULES}"))?;
    let mut modules = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    modules.sort();
    for module in modules {
        let name = module.display();
        let file = File::open(&module).with_context(|| format!("open {name}"))?;
        match finit_module(&file, c"", ModuleInitFlags::empty()) {
            // Built in, or asked for by another one.
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error).with_context(|| format!("load {name}")),
        }
    }
    Ok(())
}

/// Ends the machine. Returns only if the kernel refuses to.
pub(crate) fn power_off() {
    // The console may still hold lines.
    let _ = std::io::stdout().flush();
    let error = reboot(RebootMode::RB_POWER_OFF);
    println!("could not power off: {error:?}");
}
