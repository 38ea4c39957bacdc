//! Which nodes should report: from a file, from the Kubernetes API, or those that ever did.

mod file;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub(crate) mod machines;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use archtrace_facts::fleet::ExpectedNodes;
use archtrace_query::{Expected, Seen};
use tokio_util::sync::CancellationToken;

/// Where the list comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// Those that ever reported.
    Seen,
    /// A file.
    File(PathBuf),
    /// The API of Kubernetes.
    Kubernetes {
        /// The cluster whose nodes it lists, as agents call it; `None` if there is no other.
        cluster: Option<String>,
    },
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum NodesError {
    /// The file cannot be read.
    #[error("cannot read the list of nodes {path}: {reason}; check --nodes-file", path = path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What went wrong.
        reason: std::io::Error,
    },
    /// The file is no list.
    #[error("{path}: {what}", path = path.display())]
    Parse {
        /// Which one.
        path: PathBuf,
        /// Where, and what is wrong.
        what: String,
    },
    /// There is no way to the API.
    #[error(
        "cannot find the Kubernetes API: {reason}; run within a pod or with a kubeconfig, or list nodes \
         with --nodes-file, or take those that ever reported with --nodes-from seen"
    )]
    Kubernetes {
        /// What went wrong.
        reason: String,
    },
}

/// A list that a task keeps up to date.
#[derive(Clone, Debug)]
pub struct List(Arc<ArcSwap<ExpectedNodes>>);

impl List {
    fn new(nodes: ExpectedNodes) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(nodes)))
    }

    fn set(&self, nodes: ExpectedNodes) {
        self.0.store(Arc::new(nodes));
    }
}

impl Expected for List {
    fn nodes(&self) -> Arc<ExpectedNodes> {
        self.0.load_full()
    }
}

/// Finds the list, and keeps it up to date until `over` is cancelled.
///
/// # Errors
/// If a file cannot be read, or there is no way to the API.
pub async fn start(nodes: Nodes, over: CancellationToken) -> Result<Arc<dyn Expected>, NodesError> {
    match nodes {
        Nodes::Seen => Ok(Arc::new(Seen::default())),
        Nodes::File(path) => {
            let (list, file) = file::open(path).await?;
            let reads = file::keep(file, list.clone());
            tokio::spawn(async move { over.run_until_cancelled(reads).await });
            Ok(Arc::new(list))
        }
        #[cfg(feature = "kubernetes")]
        Nodes::Kubernetes { cluster } => {
            let client = crate::kubernetes::client().await;
            let client = client.map_err(|reason| NodesError::Kubernetes { reason })?;
            Ok(Arc::new(kubernetes::start(client, cluster, over)))
        }
        #[cfg(not(feature = "kubernetes"))]
        Nodes::Kubernetes { .. } => Err(NodesError::Kubernetes {
            reason: "this program was built without it".to_owned(),
        }),
    }
}
