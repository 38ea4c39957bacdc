//! Where something is: filters that questions about more than facts have, too.

/// Nodes, by their clusters and names.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct OfNodes {
    /// Only in these clusters
    #[arg(long = "cluster", value_name = "NAME", value_delimiter = ',')]
    pub(crate) clusters: Vec<String>,
    /// Only on these nodes
    #[arg(long = "node", value_name = "NAME", value_delimiter = ',')]
    pub(crate) nodes: Vec<String>,
}

/// Pods, by their namespaces and what they belong to.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct OfPods {
    /// Only in these namespaces
    #[arg(short, long = "namespace", value_name = "NAME", value_delimiter = ',')]
    pub(crate) namespaces: Vec<String>,
    /// Only of these workloads, such as Deployment/api
    #[arg(long = "workload", value_name = "KIND/NAME", value_delimiter = ',')]
    pub(crate) workloads: Vec<String>,
}
