//! Why it ends.

use std::net::SocketAddr;

use crate::auth::AuthError;
use crate::exports::ExportError;
use crate::fleet::NodesError;
use crate::kubernetes::KubernetesError;
use crate::policy::PolicyError;
use crate::registry::RegistryCheckError;
use crate::store::StoreError;

/// Why the collector ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {reason}; choose another with {option} ADDR")]
    Listen {
        /// Which option named it.
        option: &'static str,
        /// What it said.
        address: SocketAddr,
        /// The system's error.
        reason: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Open(StoreError),
    /// The store stopped to take anything.
    #[error("{0}; nothing can be stored any more")]
    Store(StoreError),
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The list of nodes cannot be read.
    #[error(transparent)]
    Nodes(#[from] NodesError),
    /// The API of Kubernetes cannot be used.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// The watch of the API of Kubernetes has ended.
    #[error("the watch of the Kubernetes API ended: {0}")]
    Watching(String),
    /// There is no policy where one was named.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// An export cannot begin.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Registries cannot be asked.
    #[error(transparent)]
    Registry(#[from] RegistryCheckError),
    /// An export has ended.
    #[error("an export ended: {0}")]
    Exporting(String),
    /// The server ended.
    #[error("the server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// The descriptors that were compiled in cannot be served.
    #[error("the reflection service failed: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl Failure {
    /// The process's exit code; `--help` explains them.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Server(_)
            | Self::Reflection(_)
            | Self::Store(_)
            | Self::Exporting(_)
            | Self::Watching(_) => 1,
            Self::Listen { .. } => 3,
            Self::Open(_) => 4,
            Self::Auth(_) => 5,
            Self::Nodes(_) | Self::Kubernetes(_) => 6,
            Self::Policy(_) => 7,
            Self::Export(_) => 8,
            Self::Registry(_) => 9,
        }
    }
}
