//! A program that ends with this one, however this one ends: after SIGKILL nobody is left who would end it.
//!
//! The kernel does it, for a process that asks for it itself (PR_SET_PDEATHSIG, prctl(2)). So this program is
//! started once more, by another name: it asks, and becomes the other program. Elsewhere than on Linux, what is
//! left after SIGKILL ends with its first connection, for nobody reads what it says.

use std::ffi::OsString;
use std::io;
#[cfg(target_os = "linux")]
use std::path::Path;

use tokio::process::Command;

/// What it calls itself meanwhile.
#[cfg(target_os = "linux")]
const NAME: &str = "archtrace-bound";

/// This program, whatever has become of its file.
#[cfg(target_os = "linux")]
const SELF: &str = "/proc/self/exe";

/// The program, to be given arguments and started by the thread that it is to end with.
pub(super) fn command(program: &str) -> Command {
    #[cfg(target_os = "linux")]
    if Path::new(SELF).exists() {
        let mut command = Command::new(SELF);
        command.arg0(NAME).arg(std::process::id().to_string());
        command.arg(program);
        return command;
    }
    Command::new(program)
}

/// Becomes the other program, if these are arguments that say so. If it cannot, why.
#[cfg(target_os = "linux")]
pub(crate) fn become_other(mut args: impl Iterator<Item = OsString>) -> Option<io::Error> {
    use std::os::unix::process::{CommandExt as _, parent_id};

    use nix::sys::prctl::set_pdeathsig;
    use nix::sys::signal::Signal;

    args.next().filter(|name| name == NAME)?;
    let parent = args.next()?;
    let program = args.next()?;
    if let Err(error) = set_pdeathsig(Signal::SIGTERM) {
        return Some(error.into());
    }
    // It may have ended before the kernel knew.
    if parent != *parent_id().to_string() {
        return Some(io::Error::other("whoever started this has ended"));
    }
    Some(std::process::Command::new(program).args(args).exec())
}

/// There is nothing to become.
#[cfg(not(target_os = "linux"))]
pub(crate) fn become_other(_: impl Iterator<Item = OsString>) -> Option<io::Error> {
    None
}
