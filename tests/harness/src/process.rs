//! Children that do not outlive their owner.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// So long a child may take to end by itself when asked to.
const GRACE: Duration = Duration::from_secs(5);

/// A running child, in a process group of its own so that a Ctrl-C at the terminal leaves it to
/// its owner. It is ended, with the processes it started, when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    log: Option<PathBuf>,
}

impl Running {
    /// Starts `command` with its output appended to `log`, or where this process's goes.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(name: &str, command: &mut Command, log: Option<&Path>) -> Result<Self> {
        if let Some(path) = log {
            let file = File::options().create(true).append(true).open(path);
            let file = file.with_context(|| format!("open {}", path.display()))?;
            command.stdout(file.try_clone()?).stderr(file);
        }
        command.stdin(Stdio::null()).process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        Ok(Self {
            child,
            name: name.to_owned(),
            log: log.map(Path::to_owned),
        })
    }

    /// What it was called at its start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, which is its process group's too.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("wait for {}", self.name))
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .with_context(|| format!("wait for {}", self.name))
    }

    /// Sends a signal to it alone.
    ///
    /// # Errors
    /// If it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid(), signal).with_context(|| format!("send {signal} to {}", self.name))
    }

    /// Ends it and what it started with SIGKILL, at once.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.end_group(Signal::SIGKILL);
        self.child
            .wait()
            .with_context(|| format!("wait for {}", self.name))?;
        Ok(())
    }

    fn end_group(&self, signal: Signal) {
        // Fails only if all of the group have ended.
        let _ = killpg(self.pid(), signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.end_group(Signal::SIGTERM);
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.end_group(Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
