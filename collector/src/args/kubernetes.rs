//! Options that say what the Kubernetes API is used for.

use std::path::PathBuf;

use clap::Args;

use crate::kubernetes::Options;

/// What the Kubernetes API is used for, besides the list of nodes.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubernetesArgs {
    /// Take what pods belong to from the Kubernetes API, of the pod's cluster or of the kubeconfig, instead of
    /// deriving it from labels: CronJobs, and whatever else owns Jobs, ReplicaSets and pods. Needs the
    /// rights of deploy/rbac/collector.yaml; without the API, labels count
    #[arg(long, env = "ARCHTRACE_KUBERNETES_PODS")]
    pub kubernetes_pods: bool,

    /// Write Events to pods, as kubectl describe pod shows them: EmulatedExec, ExecFormatError,
    /// IllegalInstruction. One for each pod and binary, brought up to date every five minutes at most. Needs
    /// the rights of deploy/rbac/collector-events.yaml. Goes on where it was with --export-state, else with
    /// what happens from the start on
    #[arg(long, env = "ARCHTRACE_KUBERNETES_EVENTS")]
    pub kubernetes_events: bool,
}

impl KubernetesArgs {
    /// What they say.
    pub(super) fn options(self, state: Option<PathBuf>) -> Options {
        Options {
            pods: self.kubernetes_pods,
            events: self.kubernetes_events,
            state,
        }
    }
}
