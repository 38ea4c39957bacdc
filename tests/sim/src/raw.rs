//! The protocol by hand, for what the agent's own code never says.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use archtrace_facts::report::{EventBatch, Hello, StateUpdate};
use archtrace_proto::v1;
use archtrace_proto::v1::agent_ingest_client::AgentIngestClient;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

/// Requests on their way: more than an agent would have, so that a collector can be pressed.
const IN_FLIGHT: usize = 16;
/// A collector that says nothing for so long is taken to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// An open stream.
#[derive(Debug)]
pub struct Raw {
    requests: mpsc::Sender<v1::SyncRequest>,
    responses: Streaming<v1::SyncResponse>,
}

/// What the collector holds, as an update sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Everything up to here.
    Ack {
        /// Revision of the facts.
        revision: u64,
        /// First sequence that is not stored.
        next_sequence: u64,
    },
    /// Something else than was thought: it wants a snapshot.
    Resync,
    /// It is to be told again, after this time.
    Throttle(Duration),
}

impl Raw {
    /// Opens a stream, says Hello and waits for Welcome.
    ///
    /// # Errors
    /// If the collector is not there, or refuses.
    pub async fn attach(collector: &Endpoint, hello: &Hello) -> Result<(Self, v1::Welcome)> {
        let attached = timeout(PATIENCE, Self::open(collector, hello)).await;
        let mut raw = attached.context("the collector does not answer")??;
        match raw.next().await? {
            Response::Welcome(welcome) => Ok((raw, welcome)),
            other => bail!("{other:?} instead of Welcome"),
        }
    }

    async fn open(collector: &Endpoint, hello: &Hello) -> Result<Self> {
        let channel = collector.connect().await.context("connect")?;
        let (requests, stream) = mpsc::channel(IN_FLIGHT);
        let hello = v1::SyncRequest {
            message: Some(Request::Hello(hello.into())),
        };
        requests.send(hello).await.context("say Hello")?;
        let responses = AgentIngestClient::new(channel)
            .sync(ReceiverStream::new(stream))
            .await;
        let responses = responses.context("open a stream")?.into_inner();
        Ok(Self {
            requests,
            responses,
        })
    }

    /// Sends facts, and waits for what the collector says of them.
    ///
    /// # Errors
    /// If the stream ends.
    pub async fn update(&mut self, update: &StateUpdate) -> Result<Answer> {
        self.tell(Request::State(update.into())).await?;
        self.answer().await
    }

    /// Sends events, and waits for what the collector says of them.
    ///
    /// # Errors
    /// If the stream ends.
    pub async fn events(&mut self, batch: &EventBatch) -> Result<Answer> {
        self.tell(Request::Events(batch.into())).await?;
        self.answer().await
    }

    /// Sends something.
    ///
    /// # Errors
    /// If the stream has ended.
    pub async fn tell(&mut self, request: Request) -> Result<()> {
        let request = v1::SyncRequest {
            message: Some(request),
        };
        let sent = timeout(PATIENCE, self.requests.send(request)).await;
        sent.context("the collector does not read")?
            .context("the stream has ended")
    }

    /// What the collector says next, of an update.
    ///
    /// # Errors
    /// If the stream ends, or what it says makes no sense here.
    pub async fn answer(&mut self) -> Result<Answer> {
        match self.next().await? {
            Response::Ack(v1::Ack {
                revision,
                next_sequence,
                ..
            }) => Ok(Answer::Ack {
                revision,
                next_sequence,
            }),
            Response::Resync(_) => Ok(Answer::Resync),
            Response::Throttle(throttle) => {
                let after = throttle.retry_after.and_then(|after| after.try_into().ok());
                Ok(Answer::Throttle(after.unwrap_or(PATIENCE)))
            }
            Response::Welcome(_) => bail!("a second Welcome"),
        }
    }

    async fn next(&mut self) -> Result<Response> {
        let response = timeout(PATIENCE, self.responses.message()).await;
        let response = response.context("the collector does not answer")??;
        let message = response.context("the collector closed the stream")?.message;
        message.context("an empty answer")
    }
}
