//! Options that say which nodes should report.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::fleet::Nodes;

/// Where the list of nodes comes from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which nodes should report")]
pub struct NodesArgs {
    /// Where the list of nodes that should report comes from. A node on it that was never heard of is
    /// unknown, and one that is silent and not on it any more is gone
    #[arg(
        long,
        env = "ARCHTRACE_NODES_FROM",
        value_name = "WHERE",
        default_value = "auto",
        conflicts_with = "nodes_file"
    )]
    pub nodes_from: NodesFrom,

    /// From this file: one node a line, as its name or cluster/name, and behind it type=INSTANCE-TYPE and
    /// zone=ZONE if they are known; # begins a comment. Read again when it changes
    #[arg(long, env = "ARCHTRACE_NODES_FILE", value_name = "FILE")]
    pub nodes_file: Option<PathBuf>,

    /// The cluster that the Kubernetes API lists nodes of, as its agents call it, if agents of other
    /// clusters report here too: their nodes are then those that ever reported
    #[arg(
        long,
        env = "ARCHTRACE_NODES_CLUSTER",
        value_name = "NAME",
        conflicts_with = "nodes_file"
    )]
    pub nodes_cluster: Option<String>,
}

/// Where the list of nodes comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NodesFrom {
    /// From Kubernetes within a pod, else those that ever reported
    Auto,
    /// From the Kubernetes API: of the pod's cluster, or that of the kubeconfig. Needs the rights to list
    /// and watch nodes
    Kubernetes,
    /// Those that ever reported
    Seen,
}

impl NodesArgs {
    /// What they say.
    pub(super) fn nodes(&self) -> Nodes {
        let cluster = self.nodes_cluster.clone();
        match (&self.nodes_file, self.nodes_from) {
            (Some(path), _) => Nodes::File(path.clone()),
            (None, NodesFrom::Auto) if !is_in_a_pod() => Nodes::Seen,
            (None, NodesFrom::Auto | NodesFrom::Kubernetes) => Nodes::Kubernetes { cluster },
            (None, NodesFrom::Seen) => Nodes::Seen,
        }
    }
}

/// The kubelet tells containers where the API is.
fn is_in_a_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}
