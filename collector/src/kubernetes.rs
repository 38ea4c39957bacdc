//! Kubernetes' API: what pods belong to, and Events about what happened in them.
//!
//! ```text
//! pods, replicasets, jobs ──watch──> Names ──> ingest (what comes) ──┐
//!                                      └─────> name_pods (what came) ┴─> owners in the store
//! store ──events──> facts::pod_event ──> a queue ──> Events of Kubernetes
//! ```
//!
//! Names go into the store's owners and nowhere else: so whatever asks, by whichever condition, finds the
//! same. Without the API all stays as it is: agents derive workloads from labels.
//!
//! | module | what |
//! |---|---|
//! | `names` | what is known of pods, shared with ingest |
//! | `counts` | what was done, for metrics and for those who ask for the status |
//! | `client` | the way to the API, for all who ask |
//! | `watch` | a watch that begins again whatever happens |
//! | `pods` | follows pods and what controls them, and names what is stored |
//! | `waiting` | pods whose names are yet to be stored |
//! | `events` | which events become Events, and who writes them |
//!
//! `fleet/kubernetes.rs` has the list of nodes, which needs nothing of this.

#[cfg(feature = "kubernetes")]
mod client;
mod counts;
#[cfg(feature = "kubernetes")]
mod events;
mod names;
#[cfg(feature = "kubernetes")]
mod pods;
#[cfg(feature = "kubernetes")]
mod waiting;
#[cfg(feature = "kubernetes")]
pub(crate) mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use archtrace_export::PositionError;
use tokio::task::JoinSet;

use crate::store::Store;
#[cfg(feature = "kubernetes")]
pub(crate) use client::client;
pub(crate) use counts::Counts;
pub(crate) use names::{Names, name};

/// What the API is used for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Names of what pods belong to come from it.
    pub pods: bool,
    /// What happens in pods is told to it.
    pub events: bool,
    /// A directory that says how far events were told. Without one they are from each start on.
    pub state: Option<PathBuf>,
}

/// Why the API cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// There is no way to it.
    #[error(
        "cannot find the Kubernetes API: {reason}; run within a pod or with a kubeconfig, or leave \
         --kubernetes-pods and --kubernetes-events out"
    )]
    Api {
        /// What went wrong.
        reason: String,
    },
    /// It is not known how far events were told.
    #[error(transparent)]
    Position(#[from] PositionError),
}

/// What runs; it ends with this.
#[derive(Debug, Default)]
pub(crate) struct Kubernetes {
    names: Option<Arc<Names>>,
    counts: Arc<Counts>,
    tasks: JoinSet<()>,
}

impl Kubernetes {
    /// Starts what is asked for. That the API is away, or forbids something, is logged and waited for.
    pub(crate) async fn start<S: Store>(
        options: &Options,
        store: &Arc<S>,
        store_name: &str,
    ) -> Result<Self, KubernetesError> {
        let mut started = Self::default();
        if options.pods || options.events {
            started.run(options, store, store_name).await?;
        }
        Ok(started)
    }

    #[cfg(feature = "kubernetes")]
    async fn run<S: Store>(
        &mut self,
        options: &Options,
        store: &Arc<S>,
        store_name: &str,
    ) -> Result<(), KubernetesError> {
        let client = client().await;
        let client = client.map_err(|reason| KubernetesError::Api { reason })?;
        let counts = || Arc::clone(&self.counts);
        if options.pods {
            let names: Arc<Names> = Arc::default();
            self.names = Some(Arc::clone(&names));
            let follows = pods::follow(client.clone(), names, counts(), Arc::clone(store));
            self.tasks.spawn(follows);
        }
        if options.events {
            let state = options.state.as_deref();
            let positions = events::positions(state, store_name)?;
            let names = self.names.clone();
            let (sink, writes) = events::start(client, names, counts());
            let progress = archtrace_export::Progress::new("kubernetes", &positions);
            let reads =
                archtrace_export::run(Arc::clone(store), sink, positions, Arc::new(progress));
            self.tasks.spawn(writes);
            self.tasks.spawn(reads);
        }
        Ok(())
    }

    #[cfg(not(feature = "kubernetes"))]
    async fn run<S: Store>(
        &mut self,
        _: &Options,
        _: &Arc<S>,
        _: &str,
    ) -> Result<(), KubernetesError> {
        Err(KubernetesError::Api {
            reason: "this program was built without it".to_owned(),
        })
    }

    /// What pods belong to, if that is asked for.
    pub(crate) fn names(&self) -> Option<Arc<Names>> {
        self.names.clone()
    }

    /// What was done so far.
    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Ends when something has ended, which nothing does unless it is broken.
    pub(crate) async fn ended(&mut self) -> String {
        match self.tasks.join_next().await {
            Some(Err(error)) => error.to_string(),
            Some(Ok(())) => "it has nothing more to do".to_owned(),
            None => std::future::pending().await,
        }
    }
}
