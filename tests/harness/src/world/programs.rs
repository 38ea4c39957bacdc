//! Collector and agent are started, ended, and started otherwise.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;

use super::{Extra, NODE, World};
use crate::client::Client;
use crate::pods::Kubelet;
use crate::process::Running;
use crate::wait::eventually;

/// So long a program may take from its start until it is ready. An agent on an emulated CPU of a busy machine
/// took more than half a minute.
const START: Duration = Duration::from_secs(120);

impl World {
    /// Starts the collector on its store, and waits until it answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn start_collector(&mut self) -> Result<()> {
        let store = format!("sqlite:{}", self.dir().join("store.db").display());
        let mut command = Command::new(self.program_file("archtrace-collector"));
        command.args(["--listen", &self.listen.to_string(), "--store", &store]);
        command.args(&self.extra.collector);
        let mut running = Running::start("collector", &mut command, Some(&self.log("collector")))?;
        let client = self.client();
        eventually(START, || {
            alive(&mut running).and_then(|()| client.ask(&["status"]))
        })?;
        self.collector = Some(running);
        Ok(())
    }

    /// Starts the agent, and waits until the collector hears of this start.
    ///
    /// # Errors
    /// If it does not.
    pub fn start_agent(&mut self) -> Result<()> {
        let client = self.client();
        let attached = |client: &Client| -> Result<Option<Value>> {
            let nodes = client.ask(&["nodes"])?;
            Ok(nodes
                .into_iter()
                .find(|node| node["node"] == NODE)
                .map(|node| node["attached_at"].clone()))
        };
        let before = attached(&client)?;
        let mut command = Command::new(self.program_file("archtrace-agent"));
        command.args(["--collector", &self.url(), "--node-name", NODE]);
        // Never that of somebody else's runtime.
        let socket = self.kubelet.as_ref().map(Kubelet::socket);
        command.arg("--cri-socket");
        command.arg(socket.unwrap_or_else(|| PathBuf::from("off")));
        command.arg("--log-dir").arg(self.log_dir());
        command.arg("--state-dir").arg(self.state_dir());
        command.arg("--socket").arg(self.socket());
        command.args(&self.extra.agent);
        let mut running = Running::start("agent", &mut command, Some(&self.log("agent")))?;
        eventually(START, || {
            alive(&mut running)?;
            let now = attached(&client)?;
            ensure!(now.is_some() && now != before, "the agent does not report");
            Ok(())
        })?;
        self.agent = Some(running);
        Ok(())
    }

    /// Says what the programs are started with besides, from their next start on.
    pub fn set_extra(&mut self, extra: Extra) {
        self.extra = extra;
    }

    /// Starts the collector again on the same store, with `arguments` besides.
    ///
    /// # Errors
    /// If it does not run, or is not ready in time.
    pub fn set_collector(&mut self, arguments: &[String]) -> Result<()> {
        self.kill_collector()?;
        self.extra.collector = arguments.to_vec();
        self.start_collector()
    }

    /// Prints what the programs said, and of containerd what is not ordinary: for when a case failed.
    pub fn print_logs(&self) {
        let runtime = self.kubelet.as_ref().map(Kubelet::log);
        let runtime = runtime.map(|log| ("containerd", log));
        let own = ["agent", "collector"].map(|name| (name, self.log(name)));
        for (name, file) in own.into_iter().chain(runtime) {
            let log = fs::read(file).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            for line in log.lines().filter(|line| !line.contains("level=info")) {
                println!("    | {name}: {line}");
            }
        }
    }

    /// Ends the collector with SIGKILL.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill_collector(&mut self) -> Result<()> {
        self.collector
            .take()
            .context("the collector does not run")?
            .kill()
    }

    /// Ends the agent with SIGKILL.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill_agent(&mut self) -> Result<()> {
        self.agent.take().context("the agent does not run")?.kill()
    }
}

/// Whether it runs; what it said, if not.
pub(super) fn alive(running: &mut Running) -> Result<()> {
    let Some(status) = running.ended()? else {
        return Ok(());
    };
    let log = running.log().map(fs::read).transpose()?.unwrap_or_default();
    Err(anyhow!(
        "the {} ended with {status}: {}",
        running.name(),
        String::from_utf8_lossy(&log).trim()
    ))
}
