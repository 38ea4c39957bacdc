//! Executes a file by a descriptor. That takes a process of its own, for which the program that
//! runs the cases starts itself again.

use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::execveat;

/// Names the file to whoever [`serve`]s.
const VARIABLE: &str = "ARCHTRACE_TEST_EXECVEAT";

/// A command that executes `program` by `execveat(descriptor, "", AT_EMPTY_PATH)`.
///
/// # Errors
/// If the path of the running program is not known.
pub fn command(program: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("find the running program")?);
    command.env(VARIABLE, program);
    Ok(command)
}

/// To be called first by every program that runs the cases: becomes another program if a
/// [`command`] asks for that, else returns at once.
///
/// # Errors
/// If the other program cannot be executed.
pub fn serve() -> Result<()> {
    let Some(program) = std::env::var_os(VARIABLE) else {
        return Ok(());
    };
    // Inherited (no O_CLOEXEC): an emulator opens the descriptor's path again.
    let file = open(&*program, OFlag::O_RDONLY, Mode::empty())
        .with_context(|| format!("open {}", program.display()))?;
    let none: [&std::ffi::CStr; 0] = [];
    execveat(
        &file,
        c"",
        &[c"by-descriptor"],
        &none,
        AtFlags::AT_EMPTY_PATH,
    )
    .with_context(|| format!("execute descriptor {}", file.as_raw_fd()))?;
    Ok(())
}
