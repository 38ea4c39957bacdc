//! One node with an agent, a collector and an emulator: what a case acts in.

mod programs;
mod questions;

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, ensure};
use archtrace_guests::{Isa, Program, build};
use tempfile::TempDir;

use crate::binfmt::{self, Handler};
use crate::client::Client;
use crate::mount::Mount;
use crate::pods::{Kubelet, Runtime};
use crate::process::Running;

/// The name under which the agent reports.
pub const NODE: &str = "test-node";

const NO_PODS: &str = "no pods run here";

/// Where the cases run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine, among everything else that runs there.
    Host,
    /// Alone in a virtual machine, whose CPU is emulated and slow.
    Vm,
}

/// What the programs are started with besides.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// The collector.
    pub collector: Vec<String>,
    /// The agent.
    pub agent: Vec<String>,
    /// Whoever asks the collector.
    pub reader: Vec<String>,
    /// Whether the collector speaks TLS.
    pub encrypted: bool,
}

/// What a [`World`] is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the cases run.
    pub place: Place,
    /// The directory of the programs `archtrace`, `archtrace-agent`, `archtrace-collector`.
    pub programs: PathBuf,
    /// A static program that runs here and interprets the foreign instruction set.
    pub emulator: PathBuf,
    /// The tier in which header and failure hook have to run, if that is known.
    pub tier: Option<u64>,
    /// What pods are run by, where the cases of pods are to run.
    pub runtime: Option<Runtime>,
}

/// See the module.
#[derive(Debug)]
pub struct World {
    config: Config,
    native: Isa,
    listen: SocketAddr,
    // Dropped in this order: who sends before who receives, the registry after the handlers.
    agent: Option<Running>,
    collector: Option<Running>,
    kubelet: Option<Kubelet>,
    handler: Handler,
    _registry: Mount,
    dir: TempDir,
    extra: Extra,
}

impl World {
    /// Registers the emulator, starts collector and agent, and waits until the agent reports.
    ///
    /// # Errors
    /// If one of them cannot be started or is not ready in time.
    pub fn new(config: Config) -> Result<Self> {
        let native = Isa::native().context("there are no guests for this machine's CPU")?;
        let registry = binfmt::mount()?;
        binfmt::take_out_leftovers()?;
        let name = format!("archtrace-test-{}", std::process::id());
        let handler = Handler::emulate(&name, native.foreign().ident(), &config.emulator, "F")?;
        // A free port; somebody could take it before the collector does, which then says so.
        let listen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let dir = tempfile::Builder::new()
            .prefix("archtrace-test-")
            .tempdir()?;
        let mut world = Self {
            config,
            native,
            listen,
            agent: None,
            collector: None,
            kubelet: None,
            handler,
            _registry: registry,
            dir,
            extra: Extra::default(),
        };
        world.start_collector()?;
        if let Some(runtime) = &world.config.runtime {
            let kubelet = Kubelet::start(runtime, &world.dir().join("containerd"))?;
            world.kubelet = Some(kubelet);
        }
        world.start_agent()?;
        Ok(world)
    }

    /// Where the cases run.
    #[must_use]
    pub fn place(&self) -> Place {
        self.config.place
    }

    /// The tier in which header and failure hook have to run, if that is known.
    #[must_use]
    pub fn tier(&self) -> Option<u64> {
        self.config.tier
    }

    /// The instruction set of this machine.
    #[must_use]
    pub fn native(&self) -> Isa {
        self.native
    }

    /// The one that is emulated here.
    #[must_use]
    pub fn foreign(&self) -> Isa {
        self.native.foreign()
    }

    /// What has programs of [`World::foreign`] run here.
    #[must_use]
    pub fn handler(&self) -> &Handler {
        &self.handler
    }

    /// The interpreter as it is registered.
    #[must_use]
    pub fn emulator(&self) -> &Path {
        &self.config.emulator
    }

    /// A directory for the cases.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the agent looks for what the kubelet leaves of pods' logs; nothing is there at first.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.dir().join("logs")
    }

    /// Where the agent keeps events until the collector has them.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// Who asks the collector.
    #[must_use]
    pub fn client(&self) -> Client {
        Client {
            program: self.config.programs.join("archtrace"),
            server: self.url(),
            socket: None,
            arguments: self.extra.reader.clone(),
        }
    }

    /// Who asks the agent, with no collector between.
    #[must_use]
    pub fn local_client(&self) -> Client {
        Client {
            socket: Some(self.socket()),
            arguments: Vec::new(),
            ..self.client()
        }
    }

    /// One of the programs: `archtrace`, `archtrace-agent` or `archtrace-collector`.
    #[must_use]
    pub fn program_file(&self, name: &str) -> PathBuf {
        self.config.programs.join(name)
    }

    fn socket(&self) -> PathBuf {
        self.dir().join("run/agent.sock")
    }

    /// Who runs pods.
    ///
    /// # Errors
    /// If the world has no [`Config::runtime`].
    pub fn kubelet(&self) -> Result<&Kubelet> {
        self.kubelet.as_ref().context(NO_PODS)
    }

    /// The same, to change it.
    ///
    /// # Errors
    /// See [`World::kubelet`].
    pub fn kubelet_mut(&mut self) -> Result<&mut Kubelet> {
        self.kubelet.as_mut().context(NO_PODS)
    }

    /// The running agent.
    ///
    /// # Errors
    /// If it was ended and not started again.
    pub fn agent(&mut self) -> Result<&mut Running> {
        self.agent.as_mut().context("the agent does not run")
    }

    /// Whether the programs run and did not panic.
    ///
    /// # Errors
    /// If not so.
    pub fn check_health(&mut self) -> Result<()> {
        for running in [&mut self.agent, &mut self.collector] {
            let running = running
                .as_mut()
                .context("agent or collector does not run")?;
            programs::alive(running)?;
        }
        for name in ["agent", "collector"] {
            let log = String::from_utf8_lossy(&fs::read(self.log(name))?).into_owned();
            if let Some(line) = log.lines().find(|line| line.contains("panicked")) {
                return Err(anyhow!("the {name} panicked: {line}"));
            }
        }
        Ok(())
    }

    /// Where the output of `agent` or `collector` goes.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir().join(format!("{name}.log"))
    }

    /// An executable file in the directory of the cases.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn file(&self, name: impl AsRef<OsStr>, content: &[u8]) -> Result<PathBuf> {
        let path = self.dir().join(name.as_ref());
        let mut file = fs::File::options()
            .create_new(true)
            .write(true)
            .mode(0o755)
            .open(&path);
        let file = file
            .as_mut()
            .map_err(|error| anyhow!("create {}: {error}", path.display()))?;
        file.write_all(content)
            .with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// A program in the directory of the cases.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn program(&self, name: impl AsRef<OsStr>, isa: Isa, program: Program) -> Result<PathBuf> {
        self.file(name, &build(isa, program))
    }

    fn url(&self) -> String {
        let scheme = if self.extra.encrypted {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.listen)
    }
}

/// Runs a program to its end, `times` in a row.
///
/// # Errors
/// If it cannot be started or does not end with status 0.
pub fn run(program: &Path, times: u32) -> Result<()> {
    for _ in 0..times {
        let status = Command::new(program).stdin(Stdio::null()).status();
        let status = status.with_context(|| format!("run {}", program.display()))?;
        ensure!(
            status.success(),
            "{} ended with {status}",
            program.display()
        );
    }
    Ok(())
}
