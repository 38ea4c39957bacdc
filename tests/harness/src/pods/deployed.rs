//! Pods of the chart: made, asked how they are, and made otherwise.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_cri::v1;

use super::calls::told;
use super::chart::spec::Question;
use super::chart::{self, Cluster, Identity, Places, Workload};
use super::pod::Names;
use super::{Kubelet, Pod, Template};
use crate::wait::eventually;

/// Where the kubelet has the logs of pods.
const LOGS: &str = "/var/log/pods";

/// How long an answer to a probe may take, on an emulated CPU.
const PATIENCE: Duration = Duration::from_secs(10);

/// A pod of a workload, and its volumes.
#[derive(Debug)]
pub struct Deployed {
    /// The pod.
    pub pod: Pod,
    places: Places,
    hosts: PathBuf,
    logs: PathBuf,
}

/// A container of such a pod.
#[derive(Clone, Debug)]
pub struct Launched {
    /// Its id.
    pub id: String,
    log: PathBuf,
    questions: [Question; 3],
    grace: i64,
}

impl Kubelet {
    /// Makes a pod of `workload`, with its volumes, and no container yet.
    ///
    /// # Errors
    /// If something of it is not known here, or the runtime does not.
    pub fn deploy(&self, workload: &Workload, cluster: &Cluster) -> Result<Deployed> {
        let label = |(key, value)| (String::as_str(key), String::as_str(value));
        let labels: Vec<_> = workload.labels.iter().map(label).collect();
        let template = Template {
            controller: workload.controller,
            namespace: &workload.namespace,
            name: &workload.name,
            labels: &labels,
        };
        let names = Names::of_template(&template, self.number());
        let dir = self.dir.join("pods").join(&names.uid);
        let logs =
            Path::new(LOGS).join(format!("{}_{}_{}", names.namespace, names.name, names.uid));
        let places = chart::make(workload, cluster, &dir.join("volumes"))?;
        let hosts = dir.join("etc-hosts");
        let lines: String = cluster
            .hosts
            .iter()
            .map(|name| format!("127.0.0.1\t{name}\n"))
            .collect();
        fs::write(&hosts, format!("127.0.0.1\tlocalhost\n{lines}"))
            .with_context(|| format!("write {}", hosts.display()))?;
        let container = logs.join(&workload.only()?.name);
        fs::create_dir_all(&container)
            .with_context(|| format!("create {}", container.display()))?;
        let pod = self.make(names, workload.qos()?, |config| {
            chart::sandbox(workload, config, &logs)
        })?;
        Ok(Deployed {
            pod,
            places,
            hosts,
            logs,
        })
    }

    /// Makes and starts the container of `workload` in a pod of it, for the time after `attempt` times.
    ///
    /// # Errors
    /// See [`Kubelet::deploy`].
    pub fn launch(
        &self,
        deployed: &Deployed,
        workload: &Workload,
        cluster: &Cluster,
        attempt: u32,
    ) -> Result<Launched> {
        let sandbox = &deployed.pod.config;
        let identity = Identity {
            sandbox,
            attempt,
            hosts: &deployed.hosts,
        };
        let config = chart::container(workload, &deployed.places, cluster, identity)?;
        let log = deployed.logs.join(&config.log_path);
        let id = self.create_as(&deployed.pod, config)?;
        self.start_container(&id)?;
        let questions = workload.only()?.questions();
        Ok(Launched {
            id,
            log,
            questions: questions.context("a probe asks at a port that there is not")?,
            grace: workload.spec.termination_grace_period_seconds,
        })
    }

    /// Waits until a container has started, lives and is ready, by its own probes.
    ///
    /// # Errors
    /// If it does not, in the time that the probe has; with what it said.
    pub fn ready(&self, launched: &Launched) -> Result<()> {
        for question in &launched.questions {
            let limit = Duration::from_secs(question.limit);
            let answered = eventually(limit, || {
                let status = self
                    .tasks
                    .block_on(self.client.container_status(&launched.id))?;
                if let Some(exit) = status.exit {
                    // No use to ask again.
                    return Ok(Err(anyhow::anyhow!("it ended with {exit:?}")));
                }
                ask(question).map(Ok)
            });
            answered
                .and_then(|(answer, _)| answer)
                .with_context(|| format!("{question:?}; it said: {}", launched.said()))?;
        }
        Ok(())
    }

    /// Ends a container as the kubelet does, and removes it.
    ///
    /// # Errors
    /// If the runtime does not, or it ended otherwise than with 0: it was killed.
    pub fn end_container(&self, launched: &Launched) -> Result<()> {
        let request = v1::StopContainerRequest {
            container_id: launched.id.clone(),
            timeout: launched.grace,
        };
        let mut client = self.client.runtime();
        told(self.tasks.block_on(client.stop_container(request)))
            .with_context(|| format!("stop the container {}", launched.id))?;
        let exit = self.exit(&launched.id)?;
        ensure!(
            exit.code == 0,
            "it ended with {exit:?}; it said: {}",
            launched.said()
        );
        self.remove_container(&launched.id)
    }

    /// Waits until a container ends by itself, removes it, and returns its exit code.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn ended(&self, launched: &Launched) -> Result<i32> {
        let exit = self.exit(&launched.id)?;
        self.remove_container(&launched.id)?;
        Ok(exit.code)
    }
}

impl Launched {
    /// What it said so far on stdout and stderr, without the times that the runtime puts in front.
    #[must_use]
    pub fn said(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        // `<time> stdout F <line>`: pkg/kubelet/kuberuntime/logs.
        let lines = log.lines().filter_map(|line| line.splitn(4, ' ').nth(3));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

/// Whether the answer is good: a status from 200 to 399, as the kubelet has it.
fn ask(question: &Question) -> Result<()> {
    let Question { port, path, .. } = question;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    ensure!(
        status.is_some_and(|status: u16| (200..400).contains(&status)),
        "it answers: {answer}"
    );
    Ok(())
}
