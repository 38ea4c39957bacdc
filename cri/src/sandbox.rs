//! What is asked about a pod.

use std::collections::BTreeMap;

use crate::v1;

/// A pod, as the runtime knows it: the sandbox around its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Its id, 64 hex digits: that of the pause container too.
    pub id: String,
    /// Name of the pod.
    pub name: String,
    /// Namespace of the pod.
    pub namespace: String,
    /// UID of the pod as the kubelet knows it; for a static pod a hash.
    pub uid: String,
    /// Whether it is ready; one that is not is about to be removed, or the pod got a new one.
    pub ready: bool,
    /// When it was made, in nanoseconds since 1970.
    pub created_at: i64,
    /// The pod's labels, and some of the kubelet's own (`io.kubernetes.pod.name` and the like).
    pub labels: BTreeMap<String, String>,
    /// The pod's annotations; only from [`crate::Client::sandbox_status`].
    pub annotations: BTreeMap<String, String>,
    /// The runtime class's handler, such as `runsc`; empty for the usual one.
    pub handler: String,
}

impl From<v1::PodSandbox> for Sandbox {
    fn from(told: v1::PodSandbox) -> Self {
        let ready = told.state() == v1::PodSandboxState::SandboxReady;
        let metadata = told.metadata.unwrap_or_default();
        Self {
            id: told.id,
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            ready,
            created_at: told.created_at,
            labels: told.labels.into_iter().collect(),
            annotations: BTreeMap::new(),
            handler: told.runtime_handler,
        }
    }
}

impl From<v1::PodSandboxStatus> for Sandbox {
    fn from(told: v1::PodSandboxStatus) -> Self {
        let v1::PodSandboxStatus {
            id,
            metadata,
            state,
            created_at,
            labels,
            annotations,
            runtime_handler,
        } = told;
        let listed = v1::PodSandbox {
            id,
            metadata,
            state,
            created_at,
            labels,
            runtime_handler,
        };
        Self {
            annotations: annotations.into_iter().collect(),
            ..Self::from(listed)
        }
    }
}
