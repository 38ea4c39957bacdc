//! A small foreign program, so that a newcomer's machine has something to show.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use archtrace_guests::{Isa, Program, build};
use archtrace_harness::binfmt::{self, Handler};
use archtrace_harness::mount::Mount;
use archtrace_harness::process::Running;

use crate::emulator;
use crate::vm::Arch;

/// The name of the handler that is registered where there is none.
const HANDLER: &str = "archtrace-demo";

/// How often the worker is started: enough to see its numbers grow.
const PERIOD: Duration = Duration::from_secs(2);

/// About a tenth of a second of an emulator's time.
const WORK: u32 = 30_000_000;

/// Two foreign programs: one that sleeps, and one that is started again and again.
pub(crate) struct Demo {
    worker: PathBuf,
    working: Option<Running>,
    next: Instant,
    // Dropped in this order: programs, handler, registry.
    _sleeper: Running,
    _handler: Option<(Handler, Mount)>,
}

impl Demo {
    /// Writes the programs into `dir`, registers an emulator for them if there is none, and
    /// starts them. Says so.
    ///
    /// # Errors
    /// If the handler cannot be registered or the programs not be started.
    pub(crate) fn start(dir: &Path) -> Result<Self> {
        let native = Isa::native().context("there is no demonstration for this machine's CPU")?;
        let host = Arch::host().context("there is no demonstration for this machine's CPU")?;
        let foreign = native.foreign();
        let file = |name: &str, program| -> Result<PathBuf> {
            let path = dir.join(format!("{name}-{}", foreign.as_str()));
            fs::write(&path, build(foreign, program))
                .with_context(|| format!("write {}", path.display()))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            Ok(path)
        };
        let probe = file("demo-probe", Program::Exit(0))?;
        let sleeper = file("demo-sleeper", Program::Pause)?;
        let worker = file("demo-worker", Program::Spin(WORK))?;

        let runs = Command::new(&probe)
            .stdin(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        let handler = if runs {
            None
        } else {
            let emulator = emulator::static_qemu(host)?;
            let registry = binfmt::mount()?;
            eprintln!(
                "registering {} as the handler {HANDLER} for {} programs",
                emulator.display(),
                foreign.as_str()
            );
            Some((
                Handler::emulate(HANDLER, foreign.ident(), &emulator, "F")?,
                registry,
            ))
        };
        eprintln!(
            "starting two small {} programs, so that there is something to see",
            foreign.as_str()
        );
        let sleeper = Running::start("demo", &mut Command::new(sleeper), None)?;
        Ok(Self {
            worker,
            working: None,
            next: Instant::now(),
            _sleeper: sleeper,
            _handler: handler,
        })
    }

    /// Starts the worker when it is time. To be called now and then.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn turn(&mut self) -> Result<()> {
        if let Some(working) = &mut self.working
            && working.ended()?.is_some()
        {
            self.working = None;
        }
        if self.working.is_none() && Instant::now() >= self.next {
            self.next = Instant::now() + PERIOD;
            self.working = Some(Running::start(
                "demo",
                &mut Command::new(&self.worker),
                None,
            )?);
        }
        Ok(())
    }
}
