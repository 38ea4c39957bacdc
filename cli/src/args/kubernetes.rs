//! How the collector of a cluster is found.

use std::path::PathBuf;

use super::Connection;

/// What kubectl is told.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Kubernetes")]
pub(crate) struct Kubernetes {
    /// Find the collector in the cluster, and reach it by kubectl port-forward with your own rights, rather
    /// than by --server. kubectl archtrace does so unless there is a --server
    #[arg(long, global = true, conflicts_with = "socket")]
    pub(crate) port_forward: bool,
    /// The context of your kubeconfig [default: the current one]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Your kubeconfig [default: $KUBECONFIG, or ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The namespace of the collector, where there are several, or you may not list services of all, or one
    /// without TLS is to get your token [default: any]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) collector_namespace: Option<String>,
}

impl Kubernetes {
    /// Whether the collector is to be found in the cluster; `as_plugin` if kubectl started us.
    pub(crate) fn is_wanted(&self, connection: &Connection, as_plugin: bool) -> bool {
        let says_who = connection.server.is_some() || connection.socket.is_some();
        self.port_forward || (as_plugin && !says_who)
    }
}
