//! Where agents report: one stream per node, its state applied in order, its events acknowledged
//! after the commit.

mod registry;
mod session;
mod staging;

use std::sync::Arc;
use std::time::Duration;

use archtrace_proto::v1::agent_ingest_server::AgentIngest;
use archtrace_proto::v1::{SyncRequest, SyncResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::store::Store;
use registry::Registry;

/// Largest message of an agent, in bytes. A snapshot comes in chunks, so that this bounds what one
/// stream can make the collector hold at once before it is checked.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// An agent that is silent for this many heartbeats is not there any more.
pub(crate) const MISSED_HEARTBEATS: u32 = 3;

/// Answers on their way to one agent. It has at most one state update and one batch of events
/// unacknowledged, and a heartbeat; an agent that does not read its answers is not read either.
const ANSWERS: usize = 4;

/// The service.
#[derive(Debug)]
pub struct Ingest<S> {
    store: Arc<S>,
    registry: Arc<Registry>,
    heartbeat_interval: Duration,
    shutdown: CancellationToken,
}

impl<S: Store> Ingest<S> {
    /// Streams end, and tell the agents so, when `shutdown` is cancelled.
    pub fn new(store: Arc<S>, heartbeat_interval: Duration, shutdown: CancellationToken) -> Self {
        Self {
            store,
            registry: Arc::default(),
            heartbeat_interval,
            shutdown,
        }
    }
}

#[tonic::async_trait]
impl<S: Store> AgentIngest for Ingest<S> {
    type SyncStream = ReceiverStream<Result<SyncResponse, Status>>;

    async fn sync(
        &self,
        request: Request<Streaming<SyncRequest>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let (answers, stream) = mpsc::channel(ANSWERS);
        let session = session::Context {
            store: Arc::clone(&self.store),
            registry: Arc::clone(&self.registry),
            heartbeat_interval: self.heartbeat_interval,
            shutdown: self.shutdown.clone(),
            answers,
        };
        tokio::spawn(session::run(session, request.into_inner()));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
