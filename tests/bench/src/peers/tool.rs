//! What is measured: programs that are started, watch execs, and are stopped.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use archtrace_harness::launch::Launch;
use archtrace_harness::world::World;
use nix::unistd::Pid;

/// One of those that are compared.
pub(super) trait Tool {
    /// How the table calls it.
    fn name(&self) -> &'static str;

    /// Starts it, and returns when it sees execs. Those of `target` are the ones that count.
    fn start(&mut self, target: &Path) -> Result<()>;

    /// Ends it, if it runs, and leaves things as they were before it started.
    fn stop(&mut self) -> Result<()>;

    /// Its process.
    fn pid(&mut self) -> Result<Pid>;

    /// How many execs of the target it has told of since its start.
    fn told(&mut self) -> Result<u64>;

    /// Whoever is silent for so long has told all that it will.
    fn patience(&self) -> Duration {
        Duration::from_secs(3)
    }

    /// A thread of the kernel that works for it.
    fn kernel_thread(&self) -> Result<Option<Pid>> {
        Ok(None)
    }
}

/// Nothing at all: what the same measurement says of it is chance.
pub(super) struct Nothing;

impl Tool for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn start(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        Ok(())
    }

    fn pid(&mut self) -> Result<Pid> {
        Ok(Pid::this())
    }

    fn told(&mut self) -> Result<u64> {
        Ok(0)
    }
}

/// The agent, and a collector that it tells.
pub(super) struct Archtrace<'a> {
    pub(super) world: &'a mut World,
    pub(super) target: PathBuf,
}

impl Tool for Archtrace<'_> {
    fn name(&self) -> &'static str {
        "archtrace"
    }

    fn start(&mut self, target: &Path) -> Result<()> {
        target.clone_into(&mut self.target);
        self.world.start_agent()
    }

    fn stop(&mut self) -> Result<()> {
        match self.world.agent() {
            Ok(_) => self.world.kill_agent(),
            Err(_) => Ok(()),
        }
    }

    fn pid(&mut self) -> Result<Pid> {
        Ok(self.world.agent()?.pid())
    }

    fn told(&mut self) -> Result<u64> {
        let facts = self.world.client().facts(&["--mode", "native"])?;
        let facts = facts
            .iter()
            .filter(|fact| Path::new(&fact.binary) == self.target);
        Ok(facts.map(|fact| fact.count).sum())
    }

    fn patience(&self) -> Duration {
        // Native counters are read every 20 s.
        Duration::from_secs(25)
    }
}

/// Where Debian's packages were unpacked, and a directory for files of this run.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) root: PathBuf,
    pub(super) dir: PathBuf,
}

impl Root {
    /// A command that runs `program` there, with the kernel's file systems of this machine. Nothing is
    /// installed, and the mounts are gone with the process.
    pub(super) fn command(&self, program: &str, arguments: &[&str]) -> Result<Command> {
        let argv = std::iter::once(&program).chain(arguments);
        let binds = ["/proc", "/sys", "/dev"].map(PathBuf::from);
        // Where files of this run are, the measured program among them.
        let files = std::env::temp_dir();
        let mut launch = Launch::new(Path::new(program));
        launch.arguments = argv.map(|&argument| argument.to_owned()).collect();
        launch.root = Some(self.root.clone());
        launch.mounts = true;
        launch.binds = binds.into_iter().chain([files]).collect();
        let mut command = launch.command()?;
        // Ctrl-C at the terminal is not for them.
        command.process_group(0);
        Ok(command)
    }
}
