//! Keeps a stream to the collector alive.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use archtrace_facts::node::NodeInfo;
use archtrace_proto::v1::agent_ingest_client::AgentIngestClient;
use tonic::transport::{Channel, Endpoint};

use super::backoff::Backoff;
use super::outbox::Outbox;
use super::session::{self, SessionError};

/// Who reports, and where to.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) cluster: String,
    pub(crate) node: NodeInfo,
    pub(crate) epoch: u64,
    pub(crate) stream_id: u64,
    pub(crate) attached_at: SystemTime,
}

/// A collector that does not answer is one that is gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A dead peer is noticed within two of these.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Reports until the process ends: whatever fails is tried again.
pub(crate) async fn run(endpoint: Endpoint, identity: Identity, outbox: Outbox) -> Infallible {
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true);
    let mut backoff = Backoff::default();
    let mut unreachable = false;
    loop {
        let error = match connect(&endpoint).await {
            Ok(client) => session::run(client, &identity, &outbox, &mut backoff).await,
            Err(error) => error,
        };
        let wait = backoff.next(random());
        // Said once when it starts; the rest is for who asks.
        if unreachable && matches!(error, SessionError::Connect(_)) {
            tracing::debug!(%error, ?wait, "still no collector");
        } else {
            tracing::warn!(%error, uri = %endpoint.uri(), "not reporting; counting goes on, trying again");
        }
        unreachable = matches!(error, SessionError::Connect(_));
        tokio::time::sleep(wait).await;
    }
}

async fn connect(endpoint: &Endpoint) -> Result<AgentIngestClient<Channel>, SessionError> {
    endpoint
        .connect()
        .await
        .map(AgentIngestClient::new)
        .map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            SessionError::Connect(source.unwrap_or_else(|| error.to_string()))
        })
}

/// A random number from the kernel; 0 on a kernel without getrandom(2), where it only costs jitter.
pub(crate) fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}
