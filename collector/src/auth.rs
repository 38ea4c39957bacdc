//! Who peers are, and what they may do.
//!
//! An agent's credentials name its node: a certificate that the client CA signed for it, or a token of a
//! service account that the kubelet asked for on that node. Agents may report for that node and nothing
//! else; readers may ask. Nothing is taken back early: certificates and tokens are to be short-lived, and
//! a CA that is replaced is in force within seconds.
//!
//! | module | what |
//! |---|---|
//! | `certificate` | what a client's certificate says |
//! | `token` | what a service account's token says |
//! | `keys` | the keys that tokens are signed by, from a file or over https |
//! | `tls` | the server's side of TLS, from files that may change |
//! | `layer` | decides for each request |
//! | [`dev_certs`] | certificates for trying out |

pub(crate) mod certificate;
pub mod dev_certs;
mod keys;
pub(crate) mod layer;
pub(crate) mod tls;
mod token;

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;
use tonic::Status;

pub use keys::Source;

/// O of agents' certificates.
pub const AGENTS: &str = "archtrace:agents";
/// O of readers' certificates.
pub const READERS: &str = "archtrace:readers";

/// Where credentials come from.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's certificate, with its chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Signs agents' and readers' certificates, PEM.
    pub client_ca: Option<PathBuf>,
    /// Which tokens hold.
    pub tokens: Option<Tokens>,
}

/// Which tokens hold.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The keys that they are signed by.
    pub keys: Source,
    /// Whom they have to be for.
    pub audience: String,
    /// Who has to have made them.
    pub issuer: Option<String>,
    /// The cluster whose tokens these keys sign, if it is to be the one that agents name.
    pub cluster: Option<String>,
    /// Service accounts that may report, such as `system:serviceaccount:NAMESPACE:NAME`.
    pub agents: Vec<String>,
    /// Service accounts that may read.
    pub readers: Vec<String>,
}

/// Something of the options cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what} ({source_of}): {reason}; {hint}")]
pub struct AuthError {
    what: &'static str,
    source_of: String,
    reason: String,
    hint: &'static str,
}

/// Knows who peers are.
#[derive(Debug)]
pub struct Auth {
    pub(crate) tls: Arc<tls::Tls>,
    tokens: Option<token::Verifier>,
}

impl Auth {
    /// Reads what the options name, and goes on to do so until `ended`.
    ///
    /// # Errors
    /// If one of the files cannot be used. A URL is asked again instead.
    pub async fn start(options: Options, ended: &CancellationToken) -> Result<Self, AuthError> {
        let Options {
            certificate,
            key,
            client_ca,
            tokens,
        } = options;
        let tls = tls::Tls::start(certificate, key, client_ca, ended)?;
        let tokens = match tokens {
            Some(tokens) => Some(token::Verifier::start(tokens, ended).await?),
            None => None,
        };
        Ok(Self { tls, tokens })
    }

    /// Who sent a request with these credentials.
    async fn caller(
        &self,
        certificate: Option<&Result<Caller, String>>,
        headers: &http::HeaderMap,
    ) -> Result<Caller, Status> {
        match (headers.get(http::header::AUTHORIZATION), &self.tokens) {
            (Some(header), Some(tokens)) => tokens.caller(header).await,
            (Some(_), None) => Err(Status::unauthenticated(
                "this collector takes no tokens; it would need --token-jwks",
            )),
            (None, tokens) => match certificate {
                Some(Ok(caller)) => Ok(caller.clone()),
                Some(Err(reason)) => Err(Status::unauthenticated(format!(
                    "the client certificate is of no use: {reason}"
                ))),
                None => Err(Status::unauthenticated(if tokens.is_some() {
                    "neither a client certificate nor a token; give the agent or the CLI one of them"
                } else {
                    "no client certificate; give the agent or the CLI one"
                })),
            },
        }
    }
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody was asked who they are: development mode.
    Anyone,
    /// An agent.
    Agent(Arc<Identity>),
    /// Somebody who may read.
    Reader(Arc<Identity>),
}

/// What credentials say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// For people: what kind of credentials, and their name.
    pub name: String,
    /// The cluster of these nodes; any if the credentials do not say.
    pub cluster: Option<String>,
    /// Nodes that an agent may report for: one, or the names of one.
    pub nodes: Vec<String>,
    /// When the credentials end.
    pub expires: SystemTime,
}

impl Identity {
    fn may_report_for(&self, cluster: &str, node: &str) -> Result<(), Status> {
        if let Some(own) = self.cluster.as_ref().filter(|own| *own != cluster) {
            return Err(Status::permission_denied(format!(
                "Hello names the cluster '{cluster}', but the credentials are those of a node of '{own}'; the \
                 agent's --cluster says which"
            )));
        }
        if self.nodes.iter().any(|own| own == node) {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "Hello names the node '{node}', but the credentials are those of '{}'; an agent reports for its own \
             node only",
            self.nodes.join("', '")
        )))
    }
}

impl Caller {
    /// Whether it may report for a node of a cluster. Nodes of two clusters may have one name, as addresses
    /// in two networks do.
    ///
    /// # Errors
    /// `PermissionDenied`, and what to do.
    pub fn may_report_for(&self, cluster: &str, node: &str) -> Result<(), Status> {
        match self {
            Self::Anyone => Ok(()),
            Self::Agent(identity) => identity.may_report_for(cluster, node),
            Self::Reader(_) => Err(Status::permission_denied("readers cannot report")),
        }
    }

    /// When the credentials end, if there are any.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        match self {
            Self::Anyone => None,
            Self::Agent(identity) | Self::Reader(identity) => Some(identity.expires),
        }
    }
}

impl Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Agent(identity) => write!(f, "agent {}", identity.name),
            Self::Reader(identity) => write!(f, "reader {}", identity.name),
        }
    }
}
