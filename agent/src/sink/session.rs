//! One stream to the collector, from Hello to its end.

use std::convert::Infallible;
use std::time::Duration;

use archtrace_facts::aggregate::Changes;
use archtrace_facts::report::{EventBatch, Hello, StateUpdate, UpdateKind, Welcome, how_many_fit};
use archtrace_proto::convert::ConvertError;
use archtrace_proto::v1::agent_ingest_client::AgentIngestClient;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use archtrace_proto::v1::{self, SyncRequest, SyncResponse};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::backoff::Backoff;
use super::client::Identity;
use super::outbox::Outbox;
use super::owners::Batch;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// There was none.
    #[error("cannot reach the collector: {0}")]
    Connect(String),
    /// The collector ended it.
    #[error("the collector ended the stream: {} ({})", .0.message(), .0.code())]
    Status(#[from] tonic::Status),
    /// The collector closed it without a word.
    #[error("the collector closed the stream")]
    Closed,
    /// The first answer was not Welcome, or came too late.
    #[error("the collector did not welcome this node")]
    NoWelcome,
    /// Something in the answer makes no sense.
    #[error("the collector's answer: {0}")]
    Nonsense(#[from] ConvertError),
}

/// Requests on their way: one state update, one batch of events, a heartbeat, and one to spare.
const IN_FLIGHT: usize = 4;
/// Bytes of one message: names are as long as containers like, and each of their bytes may take
/// four once it is printable. Half of what the collector takes leaves room for the rest.
const MAX_BYTES: usize = 512 * 1024;
/// How long the collector may take to answer Hello.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// Where the collector asks for more than that, this is what it gets.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(100);

struct Session<'a> {
    requests: mpsc::Sender<SyncRequest>,
    identity: &'a Identity,
    outbox: &'a Outbox,
    /// Revision of the last state that was sent; 0 before the first.
    revision: u64,
    /// The last state that was sent is not acknowledged yet.
    state_pending: bool,
    /// The last events that were sent are not acknowledged yet, up to this sequence.
    events_pending: Option<u64>,
}

/// Runs one stream; returns only when it fails.
pub(crate) async fn run(
    mut client: AgentIngestClient<Channel>,
    identity: &Identity,
    outbox: &Outbox,
    backoff: &mut Backoff,
) -> SessionError {
    match talk(&mut client, identity, outbox, backoff).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn talk(
    client: &mut AgentIngestClient<Channel>,
    identity: &Identity,
    outbox: &Outbox,
    backoff: &mut Backoff,
) -> Result<Infallible, SessionError> {
    let (requests, stream) = mpsc::channel(IN_FLIGHT);
    let mut session = Session {
        requests,
        identity,
        outbox,
        revision: 0,
        state_pending: false,
        events_pending: None,
    };
    session.send(Request::Hello(session.hello())).await?;
    let welcomed = async {
        let mut responses = client.sync(ReceiverStream::new(stream)).await?.into_inner();
        let welcome = welcome(&mut responses).await?;
        Ok::<_, SessionError>((responses, welcome))
    };
    let (mut responses, welcome) = tokio::time::timeout(WELCOME_TIMEOUT, welcomed)
        .await
        .map_err(|_| SessionError::NoWelcome)??;
    tracing::info!("reporting to the collector");
    outbox.lock().events.acknowledge(welcome.next_sequence);
    session.send_snapshot().await?;
    let mut heartbeat = tokio::time::interval(welcome.heartbeat_interval.max(SHORTEST_HEARTBEAT));
    heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        session.send_changes().await?;
        tokio::select! {
            () = outbox.changed() => {}
            _ = heartbeat.tick() => session.send_heartbeat().await?,
            response = responses.next() => {
                let response = response.ok_or(SessionError::Closed)??;
                // Only now: one that welcomes and then refuses what we say must not be hammered.
                backoff.reset();
                session.take(response).await?;
            }
        }
    }
}

async fn welcome(responses: &mut Streaming<SyncResponse>) -> Result<Welcome, SessionError> {
    match responses.next().await.ok_or(SessionError::Closed)??.message {
        Some(Response::Welcome(welcome)) => Ok(welcome.try_into()?),
        _ => Err(SessionError::NoWelcome),
    }
}

impl Session<'_> {
    fn hello(&self) -> v1::Hello {
        let contents = self.outbox.lock();
        (&Hello {
            cluster: self.identity.cluster.clone(),
            node: self.identity.node.clone(),
            epoch: self.identity.epoch,
            attached_at: self.identity.attached_at,
            event_stream_id: self.identity.stream_id,
            oldest_sequence: contents.events.oldest(),
            next_sequence: contents.events.next(),
            preflight: contents.preflight.clone(),
        })
            .into()
    }

    async fn take(&mut self, response: SyncResponse) -> Result<(), SessionError> {
        match response.message {
            Some(Response::Ack(ack)) => {
                if ack.revision == self.revision {
                    self.state_pending = false;
                    let mut contents = self.outbox.lock();
                    contents.table.confirm();
                    contents.owners.confirm();
                }
                if self
                    .events_pending
                    .is_some_and(|next| ack.next_sequence >= next)
                {
                    self.events_pending = None;
                }
                self.outbox.lock().events.acknowledge(ack.next_sequence);
                Ok(())
            }
            Some(Response::Resync(resync)) => {
                tracing::info!(reason = resync.reason, "the collector asks for a snapshot");
                self.send_snapshot().await
            }
            // A second Welcome, or what a newer collector may say.
            Some(Response::Welcome(_)) | None => Ok(()),
        }
    }

    /// Sends what has changed, unless the collector has yet to confirm what was sent before: what
    /// comes up meanwhile goes together with the next.
    async fn send_changes(&mut self) -> Result<(), SessionError> {
        if !self.state_pending {
            let news = {
                let mut contents = self.outbox.lock();
                let news = contents.table.has_changes() || contents.owners.has_changes();
                news.then(|| {
                    // Names first: few, and what people look for.
                    let (owners, weight) = contents.owners.take_changes(MAX_BYTES);
                    let changes = match MAX_BYTES.checked_sub(weight) {
                        Some(rest) if contents.table.has_changes() => {
                            contents.table.take_changes(rest)
                        }
                        _ => Changes::default(),
                    };
                    (changes, owners)
                })
            };
            if let Some((changes, owners)) = news {
                let base = self.revision;
                self.revision += 1;
                self.send_state(UpdateKind::Delta, base, changes, owners)
                    .await?;
            }
        }
        if self.events_pending.is_none() {
            let (first_sequence, records) = self.outbox.lock().events.front(MAX_BYTES);
            if !records.is_empty() {
                self.events_pending = Some(first_sequence + records.len() as u64);
                let batch = EventBatch {
                    stream_id: self.identity.stream_id,
                    first_sequence,
                    records,
                };
                self.send(Request::Events((&batch).into())).await?;
            }
        }
        Ok(())
    }

    async fn send_snapshot(&mut self) -> Result<(), SessionError> {
        let (facts, owners) = {
            let mut contents = self.outbox.lock();
            let owners = contents.owners.take_snapshot(MAX_BYTES);
            (contents.table.take_snapshot(), owners)
        };
        self.revision += 1;
        for part in owners {
            self.send_state(UpdateKind::SnapshotChunk, 0, Changes::default(), part)
                .await?;
        }
        let mut rest = facts;
        loop {
            let fit = how_many_fit(MAX_BYTES, rest.iter().map(|fact| fact.key.weight()));
            let more = rest.split_off(fit);
            let chunk = Changes {
                upserts: rest,
                removed: Vec::new(),
            };
            let kind = if more.is_empty() {
                UpdateKind::SnapshotEnd
            } else {
                UpdateKind::SnapshotChunk
            };
            self.send_state(kind, 0, chunk, Batch::default()).await?;
            if kind == UpdateKind::SnapshotEnd {
                return Ok(());
            }
            rest = more;
        }
    }

    async fn send_state(
        &mut self,
        kind: UpdateKind,
        base_revision: u64,
        changes: Changes,
        owners: Batch,
    ) -> Result<(), SessionError> {
        self.state_pending = true;
        let Changes { upserts, removed } = changes;
        let Batch { owners, images } = owners;
        let update = StateUpdate {
            kind,
            epoch: self.identity.epoch,
            base_revision,
            revision: self.revision,
            upserts,
            removed,
            owners,
            images,
        };
        self.send(Request::State((&update).into())).await
    }

    async fn send_heartbeat(&mut self) -> Result<(), SessionError> {
        let heartbeat = {
            let contents = self.outbox.lock();
            v1::Heartbeat {
                revision: self.revision,
                next_sequence: contents.events.next(),
                preflight: Some((&contents.preflight).into()),
            }
        };
        self.send(Request::Heartbeat(heartbeat)).await
    }

    async fn send(&self, message: Request) -> Result<(), SessionError> {
        let request = SyncRequest {
            message: Some(message),
        };
        self.requests
            .send(request)
            .await
            .map_err(|_| SessionError::Closed)
    }
}
