//! From the initramfs to a disk with systemd, which then starts this program again as a service.

use std::ffi::CString;

use anyhow::{Context as _, Result};
use nix::mount::{MsFlags, mount};
use nix::unistd::{chroot, execv};

use crate::machine;

/// Where the programs of the initramfs are once systemd runs.
pub(crate) const PROGRAMS: &str = "/opt/archtrace";

/// systemd's place in Debian.
const INIT: &str = "/lib/systemd/systemd";

/// Returns only if something fails. The proc file system is mounted already.
///
/// # Errors
/// If the disk is not there, or the kernel refuses one of the steps.
pub(crate) fn to_systemd() -> Result<()> {
    machine::attach("devtmpfs", "/dev")?;
    machine::load_modules()?;
    machine::mount_disk("/root")?;
    let none = None::<&str>;
    let programs = format!("/root{PROGRAMS}");
    mount(
        Some("/bin"),
        programs.as_str(),
        none,
        MsFlags::MS_BIND,
        none,
    )
    .with_context(|| format!("mount the programs at {programs}"))?;
    for path in ["/proc", "/dev"] {
        nix::mount::umount(path).with_context(|| format!("unmount {path}"))?;
    }
    std::env::set_current_dir("/root")?;
    // What switch_root(8) does; pivot_root(2) takes no initramfs.
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none).context("move the disk to /")?;
    chroot(".").context("enter the disk")?;
    std::env::set_current_dir("/")?;
    let init = CString::new(INIT)?;
    let Err(error) = execv(&init, &[&init]);
    Err(error).with_context(|| format!("execute {INIT}"))
}
