//! How to serve.

use std::path::PathBuf;
use std::time::Duration;

use crate::fleet::Nodes;
use crate::store::Keep;
use crate::{auth, exports, kubernetes, metrics, registry};

/// How to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As the option named it, without secrets.
    pub store_name: String,
    /// How often agents shall report at least.
    pub heartbeat_interval: Duration,
    /// Connections at once.
    pub max_connections: usize,
    /// How old an agent's stream may become; for ever if `None`.
    pub max_connection_age: Option<Duration>,
    /// Over what time agents are told to leave at the end.
    pub drain: Duration,
    /// How long things are kept.
    pub keep: Keep,
    /// How long nodes are kept that are silent and on no list of those that should report; for ever if `None`.
    pub keep_nodes: Option<Duration>,
    /// How peers show who they are; `None` is development mode: everybody may report and read.
    pub auth: Option<auth::Options>,
    /// Which nodes should report.
    pub nodes: Nodes,
    /// The file that says which agents have to run, if there is one.
    pub policy: Option<PathBuf>,
    /// Where events are passed on to.
    pub exports: exports::Options,
    /// What the API of Kubernetes is used for, besides the list of nodes.
    pub kubernetes: kubernetes::Options,
    /// What Prometheus is told, and where; nothing if `None`.
    pub metrics: Option<metrics::Options>,
    /// How registries are asked; they are not if `None`.
    pub registry: Option<registry::Options>,
}

impl Settings {
    /// What the options are by default.
    #[must_use]
    pub fn new(store_name: String, heartbeat_interval: Duration) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            store_name,
            heartbeat_interval,
            max_connections: 20_000,
            max_connection_age: Some(Duration::from_secs(30 * 60)),
            drain: Duration::from_secs(5),
            keep: Keep {
                events: 30 * DAY,
                history: 90 * DAY,
            },
            keep_nodes: Some(7 * DAY),
            auth: None,
            nodes: Nodes::Seen,
            policy: None,
            exports: exports::Options::default(),
            kubernetes: kubernetes::Options::default(),
            metrics: None,
            registry: None,
        }
    }
}
