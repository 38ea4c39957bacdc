//! What a kubelet asks of its runtime.

use anyhow::{Context as _, Result, anyhow, ensure};
use archtrace_cri::{Exit, v1};
use nix::unistd::Pid;

use super::pod::{self, Names};
use super::{Container, Kubelet, PATIENCE, Pod, Qos, Template};
use crate::cgroup;
use crate::wait::eventually;

impl Kubelet {
    /// Makes a pod of the deployment `name`.
    ///
    /// # Errors
    /// If the runtime does not.
    pub fn pod(&self, name: &str, qos: Qos) -> Result<Pod> {
        self.make(Names::of_deployment(name, self.number()), qos)
    }

    /// Makes a pod of a controller.
    ///
    /// # Errors
    /// If the runtime does not.
    pub fn pod_of(&self, template: &Template<'_>) -> Result<Pod> {
        self.make(Names::of_template(template, self.number()), Qos::BestEffort)
    }

    /// Makes a pod as from a file of the node.
    ///
    /// # Errors
    /// If the runtime does not.
    pub fn static_pod(&self, name: &str, qos: Qos) -> Result<Pod> {
        self.make(Names::of_file(name, self.number()), qos)
    }

    fn make(&self, names: Names, qos: Qos) -> Result<Pod> {
        let parent = pod::parent(&names.uid, qos, self.runtime.systemd);
        let config = names.sandbox(&parent);
        self.cgroups.borrow_mut().push(parent);
        let request = v1::RunPodSandboxRequest {
            config: Some(config.clone()),
            runtime_handler: String::new(),
        };
        let mut client = self.client.runtime();
        let answer = told(self.tasks.block_on(client.run_pod_sandbox(request)));
        let answer = answer.with_context(|| format!("make the pod {}", names.name))?;
        Ok(Pod {
            name: names.name,
            namespace: names.namespace,
            uid: names.uid,
            workload: names.workload,
            sandbox: answer.pod_sandbox_id,
            config,
        })
    }

    /// Makes a container, and returns its id.
    ///
    /// # Errors
    /// If the runtime does not.
    pub fn create(&self, pod: &Pod, container: &Container<'_>) -> Result<String> {
        let request = v1::CreateContainerRequest {
            pod_sandbox_id: pod.sandbox.clone(),
            config: Some(container.config(pod)),
            sandbox_config: Some(pod.config.clone()),
        };
        let mut client = self.client.runtime();
        let answer = self.tasks.block_on(client.create_container(request));
        let answer = told(answer)
            .with_context(|| format!("make the container {} of {}", container.name, pod.name))?;
        Ok(answer.container_id)
    }

    /// Starts a container. That succeeds also where its program cannot be executed, with some versions
    /// of runc.
    ///
    /// # Errors
    /// If the runtime says that it failed.
    pub fn start_container(&self, id: &str) -> Result<()> {
        let request = v1::StartContainerRequest {
            container_id: id.to_owned(),
        };
        let mut client = self.client.runtime();
        told(self.tasks.block_on(client.start_container(request)))
            .with_context(|| format!("start the container {id}"))?;
        Ok(())
    }

    /// Makes and starts a container, and returns its id.
    ///
    /// # Errors
    /// See [`Kubelet::create`] and [`Kubelet::start_container`].
    pub fn run(&self, pod: &Pod, container: &Container<'_>) -> Result<String> {
        let id = self.create(pod, container)?;
        self.start_container(&id)?;
        Ok(id)
    }

    /// Runs `command` in a running container to its end, and returns its exit code.
    ///
    /// # Errors
    /// If the runtime cannot.
    pub fn exec(&self, id: &str, command: &[&str]) -> Result<i32> {
        let request = v1::ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: command.iter().map(|&word| word.to_owned()).collect(),
            timeout: PATIENCE.as_secs().cast_signed(),
        };
        let mut client = self.client.runtime();
        let answer = told(self.tasks.block_on(client.exec_sync(request)))
            .with_context(|| format!("execute {command:?} in the container {id}"))?;
        Ok(answer.exit_code)
    }

    /// The first process of a running container, which is the one that it is there for.
    ///
    /// # Errors
    /// If nothing runs in it.
    pub fn main_process(&self, pod: &Pod, id: &str) -> Result<Pid> {
        let parent = pod.config.linux.as_ref().map(|linux| &linux.cgroup_parent);
        let parent = parent.context("the pod has no cgroup")?;
        // As containerd has it (pkg/cri/sbserver: `getCgroupsPath`).
        let own = if self.runtime.systemd {
            format!("cri-containerd-{id}.scope")
        } else {
            id.to_owned()
        };
        let processes = cgroup::processes(&format!("{parent}/{own}"))?;
        let first = processes.into_iter().next();
        first.with_context(|| format!("nothing runs in the container {id}"))
    }

    /// Starts a container whose program cannot be executed, and returns how that ended.
    ///
    /// # Errors
    /// If it does not end in time, or runs to a good end.
    pub fn refused(&self, pod: &Pod, id: &str) -> Result<Exit> {
        // Whether starting it succeeds depends on the version of runc. Where it does not, that is told of
        // the container's end too, unless the question never got there.
        let started = self.start_container(id);
        let exit = self.exit(id).with_context(|| {
            let started = match &started {
                Ok(()) => "it was started".to_owned(),
                Err(error) => format!("it was not started: {error:#}"),
            };
            let runs = match self.main_process(pod, id) {
                Ok(pid) => {
                    let program = std::fs::read_link(format!("/proc/{pid}/exe"));
                    format!("process {pid} runs in it: {program:?}")
                }
                Err(error) => format!("{error:#}"),
            };
            format!("{started}, and {runs}")
        })?;
        ensure!(exit.code != 0, "it was not refused: {exit:?}");
        Ok(exit)
    }

    /// Waits until a container has ended, and returns how.
    ///
    /// # Errors
    /// If it does not, in time.
    pub fn exit(&self, id: &str) -> Result<Exit> {
        let (exit, _) = eventually(PATIENCE, || {
            let status = self.tasks.block_on(self.client.container_status(id))?;
            let state = status.state;
            status.exit.with_context(|| {
                format!("the container {id} has not ended: containerd says {state:?}")
            })
        })?;
        Ok(exit)
    }

    /// Removes a container that has ended.
    ///
    /// # Errors
    /// If the runtime does not.
    pub fn remove_container(&self, id: &str) -> Result<()> {
        let request = v1::RemoveContainerRequest {
            container_id: id.to_owned(),
        };
        let mut client = self.client.runtime();
        told(self.tasks.block_on(client.remove_container(request)))
            .with_context(|| format!("remove the container {id}"))?;
        Ok(())
    }

    /// Ends and removes a pod with its containers.
    ///
    /// # Errors
    /// If the runtime does not.
    pub fn remove(&self, pod: &Pod) -> Result<()> {
        self.remove_sandbox(&pod.sandbox)
            .with_context(|| format!("remove the pod {}", pod.name))
    }

    pub(super) fn remove_sandbox(&self, sandbox: &str) -> Result<()> {
        let mut client = self.client.runtime();
        let id = || sandbox.to_owned();
        let stop = v1::StopPodSandboxRequest {
            pod_sandbox_id: id(),
        };
        told(self.tasks.block_on(client.stop_pod_sandbox(stop)))?;
        let remove = v1::RemovePodSandboxRequest {
            pod_sandbox_id: id(),
        };
        told(self.tasks.block_on(client.remove_pod_sandbox(remove)))?;
        Ok(())
    }
}

fn told<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> Result<T> {
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| anyhow!("the runtime says: {}", status.message()))
}
