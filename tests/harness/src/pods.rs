//! Real pods without a kubelet: containerd and runc of our own, asked through the CRI for what a kubelet
//! would ask for.
//!
//! Everything is below one directory (images, state, the socket), so that it is in nobody's way and gone
//! afterwards. No plugin for networks is needed, since the pods are in the node's.

mod bare;
mod calls;
mod chart;
mod config;
mod deployed;
mod image;
mod leftovers;
mod pod;
mod tar;

use std::cell::{Cell, RefCell};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_cri::Client;
use archtrace_guests::{Isa, Program, build};

pub use bare::Bare;
pub use chart::{Chart, Cluster, Workload};
pub use deployed::{Deployed, Launched};
pub use image::Image;
pub use pod::{Container, Controller, Pod, Qos, Template};

use crate::process::Running;
use crate::wait::eventually;

/// The image of the container that holds a pod's namespaces.
const PAUSE: &str = "archtrace.test/pause:1";

/// The socket, in the directory.
const SOCKET: &str = "containerd.sock";

/// So long containerd may take until it answers, and whatever it is asked to do. An emulated CPU is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where containerd is, and how it is to be set up.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Directories with `containerd`, `containerd-shim-runc-v2`, `ctr` and `runc`.
    pub programs: Vec<PathBuf>,
    /// Whether systemd makes the cgroups.
    pub systemd: bool,
    /// Where its socket and its state are, if not with everything else.
    pub run: Option<PathBuf>,
}

/// Plays the kubelet of a node with a containerd of its own.
#[derive(Debug)]
pub struct Kubelet {
    runtime: Runtime,
    dir: PathBuf,
    tasks: tokio::runtime::Runtime,
    client: Client,
    containerd: Option<Running>,
    /// Numbers the pods.
    made: Cell<u32>,
    /// The parent cgroups of all of them.
    cgroups: RefCell<Vec<String>>,
}

impl Kubelet {
    /// Starts containerd with everything below `dir`.
    ///
    /// # Errors
    /// If a program is missing or it does not answer in time.
    pub fn start(runtime: &Runtime, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let tasks = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = {
            let _inside = tasks.enter();
            Client::new(&socket(runtime, dir))?.with_patience(PATIENCE)
        };
        let mut kubelet = Self {
            runtime: runtime.clone(),
            dir: dir.to_owned(),
            tasks,
            client,
            containerd: None,
            made: Cell::new(0),
            cgroups: RefCell::new(Vec::new()),
        };
        let runc = kubelet.program("runc")?;
        let config = config::containerd(runtime, dir, &runc);
        fs::write(kubelet.config(), config).context("write containerd's configuration")?;
        kubelet.start_containerd()?;
        let native = Isa::native().context("there are no guests for this machine's CPU")?;
        let pause = build(native, Program::Pause);
        kubelet.import(&Image::of_program(
            "pause",
            native.as_str(),
            "/pause",
            pause,
        ))?;
        Ok(kubelet)
    }

    /// The socket at which the runtime answers.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket(&self.runtime, &self.dir)
    }

    /// containerd's output.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("containerd.log")
    }

    /// Starts containerd again. Containers went on meanwhile.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub fn start_containerd(&mut self) -> Result<()> {
        let mut command = Command::new(self.program("containerd")?);
        command.arg("--config").arg(self.config());
        // Where it looks for its shim.
        command.env("PATH", env::join_paths(&self.runtime.programs)?);
        let log = self.log();
        let mut running = Running::start("containerd", &mut command, Some(&log))?;
        eventually(PATIENCE, || {
            let ended = running.ended()?;
            ensure!(
                ended.is_none(),
                "containerd ended with {ended:?}; its output is in {}",
                log.display()
            );
            Ok(self.tasks.block_on(self.client.version())?)
        })?;
        self.containerd = Some(running);
        Ok(())
    }

    /// Ends containerd, and nothing else.
    ///
    /// # Errors
    /// If it does not run.
    pub fn stop_containerd(&mut self) -> Result<()> {
        let running = self.containerd.take();
        drop(running.context("containerd does not run")?);
        Ok(())
    }

    /// Makes `image` known to containerd, for whatever platform it claims to be.
    ///
    /// # Errors
    /// If it does not take it.
    pub fn import(&self, image: &Image) -> Result<()> {
        let file = self.dir.join("image.tar");
        fs::write(&file, image.archive()).with_context(|| format!("write {}", file.display()))?;
        self.import_file(&file, &image.name, image.arch, &[])
    }

    /// The same, of an OCI layout in a tar whose only image has a tag, as `name` and that.
    ///
    /// # Errors
    /// If it does not take it.
    pub fn import_layout(&self, file: &Path, name: &str, tag: &str, arch: &str) -> Result<()> {
        self.import_file(file, &format!("{name}:{tag}"), arch, &["--base-name", name])
    }

    fn import_file(&self, file: &Path, name: &str, arch: &str, options: &[&str]) -> Result<()> {
        let mut command = Command::new(self.program("ctr")?);
        command.arg("--address").arg(self.socket());
        command.args(["--namespace", "k8s.io", "images", "import", "--platform"]);
        command.arg(format!("linux/{arch}")).args(options).arg(file);
        let output = command.stdin(Stdio::null()).output().context("start ctr")?;
        ensure!(
            output.status.success(),
            "ctr did not import {name}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        // The CRI hears of it by an event.
        eventually(PATIENCE, || {
            let known = self.tasks.block_on(self.client.image_status(name))?;
            known.with_context(|| format!("the CRI does not know {name}"))
        })?;
        Ok(())
    }

    fn number(&self) -> u32 {
        self.made.set(self.made.get() + 1);
        self.made.get()
    }

    fn end(&mut self) -> Result<()> {
        if self.containerd.is_none() {
            self.start_containerd()?;
        }
        for sandbox in self.tasks.block_on(self.client.sandboxes())? {
            self.remove_sandbox(&sandbox.id)?;
        }
        Ok(())
    }

    fn config(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    fn program(&self, name: &str) -> Result<PathBuf> {
        let mut files = self.runtime.programs.iter().map(|dir| dir.join(name));
        files
            .find(|file| file.is_file())
            .with_context(|| format!("there is no {name} in {:?}", self.runtime.programs))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("could not remove all pods: {error:#}");
        }
        self.containerd = None;
        leftovers::end_shims(&self.socket());
        let run = self.runtime.run.as_deref();
        for dir in run.into_iter().chain([&*self.dir]) {
            leftovers::unmount_below(dir);
        }
        for cgroup in self.cgroups.borrow().iter() {
            leftovers::remove_cgroup(cgroup);
        }
    }
}

fn socket(runtime: &Runtime, dir: &Path) -> PathBuf {
    runtime.run.as_deref().unwrap_or(dir).join(SOCKET)
}
