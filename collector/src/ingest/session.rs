//! One agent's stream, from Hello to its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::node::Preflight;
use archtrace_facts::report::{EventBatch, Hello, StateUpdate, UpdateKind, Welcome};
use archtrace_proto::convert::ConvertError;
use archtrace_proto::v1;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::{debug, info, warn};

use super::registry::Registry;
use super::staging::{Staging, StagingError};
use super::{MAX_MESSAGE_BYTES, MISSED_HEARTBEATS};
use crate::store::{Applied, Attached, Beat, Delta, NodeId, Store, StoreError};

/// How long a peer may be connected without saying who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// What a stream needs.
pub(super) struct Context<S> {
    pub(super) store: Arc<S>,
    pub(super) registry: Arc<Registry>,
    pub(super) heartbeat_interval: Duration,
    pub(super) shutdown: CancellationToken,
    pub(super) answers: mpsc::Sender<Result<v1::SyncResponse, Status>>,
}

/// Serves the stream, and tells the agent why it ended.
pub(super) async fn run<S: Store>(context: Context<S>, mut requests: Streaming<v1::SyncRequest>) {
    if let Err(status) = serve(&context, &mut requests).await {
        // If the agent is gone, there is nobody to tell.
        let _ = context.answers.send(Err(status)).await;
    }
}

async fn serve<S: Store>(
    context: &Context<S>,
    requests: &mut Streaming<v1::SyncRequest>,
) -> Result<(), Status> {
    let first = timeout(HELLO_TIMEOUT, requests.message());
    let first = first
        .await
        .map_err(|_| Status::deadline_exceeded("no Hello within 10 s"))??;
    let hello = match first.and_then(|request| request.message) {
        Some(Request::Hello(hello)) => Hello::try_from(hello).map_err(|e| refused("hello", &e))?,
        Some(_) => {
            return Err(Status::invalid_argument(
                "the first message has to be Hello",
            ));
        }
        None => return Err(Status::invalid_argument("the stream ended before Hello")),
    };
    let claim = context.registry.claim(&hello.cluster, &hello.node.name);
    let mut session = Session::attach(context, hello).await?;
    let silence = context.heartbeat_interval * MISSED_HEARTBEATS;
    let ended = loop {
        let request = tokio::select! {
            // First whether this stream still speaks for its node, then what it says.
            biased;
            () = context.shutdown.cancelled() => {
                break Err(Status::unavailable("the collector is shutting down; connect again"));
            }
            () = claim.superseded() => {
                break Err(Status::aborted(
                    "a newer stream reports for this node; is a second agent running on it, or two nodes with one name?",
                ));
            }
            request = timeout(silence, requests.message()) => request,
        };
        let request = match request {
            Ok(Ok(Some(request))) => request,
            Ok(Ok(None)) => break Ok(()),
            Ok(Err(status)) => break Err(status),
            Err(_) => {
                break Err(Status::deadline_exceeded(format!(
                    "nothing heard for {MISSED_HEARTBEATS} heartbeats ({silence:?})"
                )));
            }
        };
        if let Err(status) = session.handle(request).await {
            break Err(status);
        }
    };
    let node = &session.name;
    match &ended {
        Ok(()) => info!(%node, "agent left"),
        Err(status) => {
            warn!(%node, code = ?status.code(), reason = status.message(), "stream ended");
        }
    }
    ended
}

struct Session<'a, S> {
    context: &'a Context<S>,
    name: String,
    node: NodeId,
    epoch: u64,
    stream_id: u64,
    staging: Staging,
    acked: v1::Ack,
}

impl<'a, S: Store> Session<'a, S> {
    async fn attach(context: &'a Context<S>, hello: Hello) -> Result<Self, Status> {
        sequence("hello.oldest_sequence", hello.oldest_sequence, 0)?;
        let (epoch, stream_id) = (hello.epoch, hello.event_stream_id);
        let name = hello.node.name.clone();
        let version = hello.node.agent_version.clone();
        let attached = context.store.attach(hello, SystemTime::now()).await;
        let Attached {
            node,
            revision,
            next_sequence,
        } = attached.map_err(unavailable)?;
        info!(node = %name, agent = %version, epoch, revision, "agent reports");
        let acked = v1::Ack {
            revision: revision.unwrap_or(0),
            next_sequence,
        };
        let session = Self {
            context,
            name,
            node,
            epoch,
            stream_id,
            staging: Staging::default(),
            acked,
        };
        let welcome = Welcome {
            heartbeat_interval: context.heartbeat_interval,
            // 1 MiB.
            max_message_bytes: u32::try_from(MAX_MESSAGE_BYTES).unwrap_or(u32::MAX),
            next_sequence,
        };
        session.answer(Response::Welcome((&welcome).into())).await?;
        Ok(session)
    }

    async fn handle(&mut self, request: v1::SyncRequest) -> Result<(), Status> {
        match request.message {
            Some(Request::State(update)) => {
                let update = StateUpdate::try_from(update).map_err(|e| refused("state", &e))?;
                self.state(update).await
            }
            Some(Request::Events(batch)) => {
                let batch = EventBatch::try_from(batch).map_err(|e| refused("events", &e))?;
                self.events(batch).await
            }
            Some(Request::Heartbeat(beat)) => {
                let preflight = beat.preflight.map(Preflight::try_from).transpose();
                let preflight = preflight.map_err(|e| refused("heartbeat.preflight", &e))?;
                let beat = Beat {
                    epoch: self.epoch,
                    revision: beat.revision,
                    preflight,
                };
                self.store()
                    .heartbeat(self.node, beat, SystemTime::now())
                    .await
                    .map_err(unavailable)?;
                self.ack().await
            }
            Some(Request::Hello(_)) => Err(Status::invalid_argument("Hello was said already")),
            None => Err(Status::invalid_argument(
                "a message of a kind that this collector does not know; upgrade it first",
            )),
        }
    }

    async fn state(&mut self, update: StateUpdate) -> Result<(), Status> {
        if update.epoch != self.epoch {
            self.staging.clear();
            return self
                .resync("the update is of another epoch than Hello")
                .await;
        }
        let (revision, now) = (update.revision, SystemTime::now());
        let applied = match update.kind {
            UpdateKind::SnapshotChunk => {
                return match self.staging.push(update) {
                    // Chunks have no effect of their own that could be acknowledged, but agents
                    // have one update on its way at a time and wait to send the next.
                    Ok(()) => self.ack().await,
                    Err(error) => Err(too_large(&error)),
                };
            }
            UpdateKind::SnapshotEnd => match self.staging.finish(update) {
                Ok(snapshot) => self.store().apply_snapshot(self.node, snapshot, now).await,
                Err(error @ StagingError::OtherRevision { .. }) => {
                    return self.resync(&error.to_string()).await;
                }
                Err(error @ StagingError::TooLarge) => return Err(too_large(&error)),
            },
            UpdateKind::Delta => {
                self.staging.clear();
                let StateUpdate {
                    epoch,
                    base_revision,
                    revision,
                    upserts,
                    removed,
                    owners,
                    images,
                    kind: _,
                } = update;
                let delta = Delta {
                    epoch,
                    base_revision,
                    revision,
                    upserts,
                    removed,
                    owners,
                    images,
                };
                self.store().apply_delta(self.node, delta, now).await
            }
        };
        match applied.map_err(unavailable)? {
            Applied::Yes => {
                self.acked.revision = revision;
                self.ack().await
            }
            Applied::OtherEpoch => self.resync("another epoch of this node reports").await,
            Applied::OtherRevision(None) => self.resync("no snapshot is stored yet").await,
            Applied::OtherRevision(Some(stored)) => {
                self.resync(&format!("revision {stored} is stored")).await
            }
        }
    }

    async fn events(&mut self, batch: EventBatch) -> Result<(), Status> {
        if batch.stream_id != self.stream_id {
            return Err(Status::invalid_argument(
                "events.stream_id: is not that of Hello",
            ));
        }
        sequence(
            "events.first_sequence",
            batch.first_sequence,
            batch.records.len(),
        )?;
        let appended = self
            .store()
            .append_events(self.node, batch, SystemTime::now())
            .await;
        self.acked.next_sequence = appended.map_err(unavailable)?;
        self.ack().await
    }

    fn store(&self) -> &S {
        &self.context.store
    }

    async fn ack(&self) -> Result<(), Status> {
        self.answer(Response::Ack(self.acked)).await
    }

    async fn resync(&self, reason: &str) -> Result<(), Status> {
        debug!(node = %self.name, reason, "asking for a snapshot");
        self.answer(Response::Resync(v1::Resync {
            reason: reason.to_owned(),
        }))
        .await
    }

    async fn answer(&self, message: Response) -> Result<(), Status> {
        let answer = v1::SyncResponse {
            message: Some(message),
        };
        // Waits while the agent does not read. The receiver goes away with the connection.
        let sent = self.context.answers.send(Ok(answer)).await;
        sent.map_err(|_| Status::cancelled("the agent went away"))
    }
}

/// Sequences are ordered in the store, which has signed numbers: an honest agent needs ages to run
/// out of 63 bits.
fn sequence(field: &str, first: u64, count: usize) -> Result<(), Status> {
    let end = u64::try_from(count)
        .ok()
        .and_then(|count| first.checked_add(count));
    if end.is_none_or(|end| i64::try_from(end).is_err()) {
        return Err(Status::invalid_argument(format!(
            "{field}: {first} is too large for a sequence"
        )));
    }
    Ok(())
}

fn refused(message: &str, error: &ConvertError) -> Status {
    Status::invalid_argument(format!("{message}.{error}"))
}

fn too_large(error: &StagingError) -> Status {
    Status::resource_exhausted(error.to_string())
}

/// The agent keeps what it has and comes again; the reason is for the collector's own log only.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: StoreError) -> Status {
    tracing::error!(%error, "cannot store");
    Status::unavailable("the collector's store does not work at the moment")
}
