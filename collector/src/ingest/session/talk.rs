//! What an agent says after Hello, and what it is answered.

use std::time::{Instant, SystemTime};

use archtrace_facts::digest::Digest;
use archtrace_facts::report::{
    EventBatch, Heartbeat, Hello, StateUpdate, Throttle, UpdateKind, Welcome,
};
use archtrace_proto::convert::ConvertError;
use archtrace_proto::v1;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use tokio::sync::mpsc::error::SendTimeoutError;
use tonic::Status;
use tracing::{debug, error, info};

use super::super::staging::{Staging, StagingError};
use super::super::throttle::Throttled;
use super::super::{MAX_ITEMS, MAX_MESSAGE_BYTES};
use super::bounds::{few, sequence};
use super::{Context, silence};
use crate::kubernetes;
use crate::refusals::Reason;
use crate::store::{Applied, Attached, Beat, Delta, Lease, Store, StoreError};

pub(super) struct Session<'a, S> {
    context: &'a Context<S>,
    name: String,
    lease: Lease,
    epoch: u64,
    /// That of Hello, and those of earlier runs.
    streams: Vec<u64>,
    staging: Staging,
    throttled: Throttled,
    /// What the store holds of the agent's facts; `None` until it has a snapshot that counts.
    held: Option<(u64, Digest)>,
    /// A heartbeat was answered by Resync: a delta that was on its way then is answered by it too.
    asked: bool,
    acked: v1::Ack,
}

impl<'a, S: Store> Session<'a, S> {
    /// Takes the node in and welcomes its agent.
    pub(super) async fn attach(context: &'a Context<S>, hello: Hello) -> Result<Self, Status> {
        sequence("hello.oldest_sequence", hello.oldest_sequence, 0)?;
        let earlier = hello.earlier_streams.iter();
        let streams: Vec<u64> = std::iter::once(hello.event_stream_id)
            .chain(earlier.clone().map(|stream| stream.stream_id))
            .collect();
        for stream in earlier {
            sequence("hello.earlier_streams", stream.next_sequence, 0)?;
        }
        let (epoch, said) = (hello.epoch, hello.held);
        let name = hello.node.name.clone();
        let version = hello.node.agent_version.clone();
        let attached = context.shared.store.attach(hello, SystemTime::now()).await;
        let Attached {
            lease,
            held,
            next_sequence,
            earlier_next_sequences,
        } = attached.map_err(|error| failed(context, &error))?;
        let resume = said.is_some() && said == held;
        info!(node = %name, agent = %version, epoch, resume, "agent reports");
        let shared = &context.shared;
        let session = Self {
            context,
            name,
            lease,
            epoch,
            acked: v1::Ack {
                revision: 0,
                next_sequence,
                stream_id: streams[0],
            },
            streams,
            staging: Staging::new(shared.staged.clone()),
            throttled: Throttled::default(),
            held: said.filter(|_| resume),
            asked: false,
        };
        let welcome = Welcome {
            heartbeat_interval: shared.rules.heartbeat_interval,
            // 1 MiB, and a few thousands.
            max_message_bytes: u32::try_from(MAX_MESSAGE_BYTES).unwrap_or(u32::MAX),
            next_sequence,
            resume,
            earlier_next_sequences,
            max_items: u32::try_from(MAX_ITEMS).unwrap_or(u32::MAX),
        };
        session.answer(Response::Welcome((&welcome).into())).await?;
        Ok(session)
    }

    /// Whether all of the agent's facts have still to come. Not while the store takes nothing: then it will
    /// be told when.
    pub(super) fn is_telling(&self) -> bool {
        self.held.is_none() && self.throttled.left(Instant::now()).is_none()
    }

    /// Deals with one message.
    pub(super) async fn handle(&mut self, request: v1::SyncRequest) -> Result<(), Status> {
        match request.message {
            Some(Request::State(update)) => {
                let lists = [update.upserts.len(), update.removed_ids.len()];
                let names = [update.owners.len(), update.images.len()];
                few("state", lists.iter().chain(&names).sum())?;
                let update = StateUpdate::try_from(update).map_err(|e| refused("state", &e))?;
                self.state(update).await
            }
            Some(Request::Events(batch)) => {
                few("events", batch.records.len())?;
                let batch = EventBatch::try_from(batch).map_err(|e| refused("events", &e))?;
                self.events(batch).await
            }
            Some(Request::Heartbeat(beat)) => {
                let beat = Heartbeat::try_from(beat).map_err(|e| refused("heartbeat", &e))?;
                self.heartbeat(beat).await
            }
            Some(Request::Hello(_)) => Err(Status::invalid_argument("Hello was said already")),
            None => Err(Status::invalid_argument(
                "a message of a kind that this collector does not know; upgrade it first",
            )),
        }
    }

    async fn heartbeat(&mut self, beat: Heartbeat) -> Result<(), Status> {
        let Heartbeat {
            revision,
            digest,
            next_sequence: _,
            preflight,
            health,
        } = beat;
        self.context.shared.beats.add(Beat {
            node: self.lease.node,
            epoch: self.epoch,
            at: SystemTime::now(),
            revision,
            preflight,
            health,
        });
        let silently_different = match (self.held, digest) {
            // What an agent says after an update comes behind it, so that it cannot be ahead of what is
            // held; it may be behind, as long as it has not read its Ack.
            (Some((held, own)), Some(digest)) => {
                revision > held || (revision == held && digest != own)
            }
            // It was asked for a snapshot already; or it is from before digests.
            _ => false,
        };
        if silently_different {
            let what = "facts differ from what the agent says; asking for all of them";
            self.note(Reason::DigestMismatch, &what);
            self.asked = true;
            return self
                .resync("the collector holds other facts at this revision")
                .await;
        }
        self.ack().await
    }

    async fn state(&mut self, mut update: StateUpdate) -> Result<(), Status> {
        if let Some(left) = self.throttled.left(Instant::now()) {
            self.staging.clear();
            return self.throttle(left).await;
        }
        let asked = std::mem::take(&mut self.asked);
        if update.epoch != self.epoch {
            return self
                .resync("the update is of another epoch than Hello")
                .await;
        }
        kubernetes::name(self.context.shared.names.as_deref(), &mut update.owners);
        let (revision, now) = (update.revision, SystemTime::now());
        let snapshot = update.kind != UpdateKind::Delta;
        let applied = match update.kind {
            UpdateKind::SnapshotChunk => {
                return match self.staging.push(update) {
                    // Chunks have no effect of their own that could be acknowledged, but agents
                    // have one update on its way at a time and wait to send the next.
                    Ok(()) => self.ack().await,
                    Err(error) => self.not_staged(&error).await,
                };
            }
            UpdateKind::SnapshotEnd => match self.staging.finish(update) {
                // The share is given back when the snapshot is stored.
                Ok((snapshot, _share)) => {
                    self.store().apply_snapshot(self.lease, snapshot, now).await
                }
                Err(error) => return self.not_staged(&error).await,
            },
            UpdateKind::Delta => {
                self.staging.clear();
                if asked {
                    return Ok(());
                }
                self.store()
                    .apply_delta(self.lease, delta(update), now)
                    .await
            }
        };
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) => return self.not_stored(&error).await,
        };
        self.throttled.worked();
        match applied {
            Applied::Yes(digest) => {
                self.held = Some((revision, digest));
                self.acked.revision = revision;
                self.ack().await
            }
            Applied::Superseded => Err(Status::aborted(
                "a newer stream reports for this node, to this collector or another",
            )),
            Applied::OtherDigest(_) if snapshot => {
                self.note(Reason::DigestMismatch, &"a snapshot is not what it says");
                // Not Resync: the same would come again, for ever.
                Err(Status::invalid_argument(
                    "state.digest: is not that of the snapshot's facts",
                ))
            }
            Applied::OtherDigest(_) => {
                self.note(
                    Reason::DigestMismatch,
                    &"a delta makes other facts than it says",
                );
                self.resync("the facts' digest is another one").await
            }
            Applied::OtherEpoch => self.resync("another epoch of this node reports").await,
            Applied::OtherRevision(None) => self.resync("no snapshot is stored yet").await,
            Applied::OtherRevision(Some(stored)) => {
                self.resync(&format!("revision {stored} is stored")).await
            }
        }
    }

    async fn events(&mut self, batch: EventBatch) -> Result<(), Status> {
        if let Some(left) = self.throttled.left(Instant::now()) {
            return self.throttle(left).await;
        }
        let stream_id = batch.stream_id;
        if !self.streams.contains(&stream_id) {
            return Err(Status::invalid_argument(
                "events.stream_id: is none of those of Hello",
            ));
        }
        sequence(
            "events.first_sequence",
            batch.first_sequence,
            batch.records.len(),
        )?;
        let appended = self
            .store()
            .append_events(self.lease.node, batch, SystemTime::now())
            .await;
        match appended {
            Ok(next_sequence) => {
                self.throttled.worked();
                (self.acked.stream_id, self.acked.next_sequence) = (stream_id, next_sequence);
                self.ack().await
            }
            Err(error) => self.not_stored(&error).await,
        }
    }

    async fn not_staged(&mut self, error: &StagingError) -> Result<(), Status> {
        match error {
            StagingError::OtherRevision { .. } => self.resync(&error.to_string()).await,
            StagingError::TooLarge => Err(Status::resource_exhausted(error.to_string())),
            StagingError::Busy => {
                let wait = self.throttled.failed(Instant::now());
                self.throttle(wait).await
            }
        }
    }

    /// The agent keeps what it has. Where trying again may help, it stays connected and is told when.
    async fn not_stored(&mut self, error: &StoreError) -> Result<(), Status> {
        let status = failed(self.context, error);
        if !matches!(error, StoreError::Away { .. }) {
            return Err(status);
        }
        let wait = self.throttled.failed(Instant::now());
        self.throttle(wait).await
    }

    async fn throttle(&mut self, retry_after: std::time::Duration) -> Result<(), Status> {
        // Facts are to come as a snapshot, and nobody knows what became of the last update.
        self.held = None;
        self.context.shared.own.throttle();
        let throttle = Throttle {
            retry_after,
            reason: "the collector cannot store anything at the moment".to_owned(),
        };
        self.answer(Response::Throttle((&throttle).into())).await
    }

    async fn resync(&mut self, reason: &str) -> Result<(), Status> {
        debug!(node = %self.name, reason, "asking for a snapshot");
        self.staging.clear();
        self.held = None;
        self.context.shared.own.resync();
        self.answer(Response::Resync(v1::Resync {
            reason: reason.to_owned(),
        }))
        .await
    }

    async fn ack(&self) -> Result<(), Status> {
        self.answer(Response::Ack(self.acked)).await
    }

    async fn answer(&self, message: Response) -> Result<(), Status> {
        // What was said is dealt with; this may wait for as long as the agent does not read.
        self.context.gate.release();
        let answer = Box::new(v1::SyncResponse {
            message: Some(message),
        });
        let patience = silence(self.context);
        let sent = self
            .context
            .answers
            .send_timeout(Ok(answer), patience)
            .await;
        sent.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => {
                Status::deadline_exceeded(format!("no answer was read for {patience:?}"))
            }
            // The receiver goes away with the connection.
            SendTimeoutError::Closed(_) => Status::cancelled("the agent went away"),
        })
    }

    fn store(&self) -> &S {
        &self.context.shared.store
    }

    fn note(&self, reason: Reason, what: &&str) {
        self.context.shared.refusals.note(reason, &self.name, what);
    }
}

fn delta(update: StateUpdate) -> Delta {
    let StateUpdate {
        kind: _,
        epoch,
        base_revision,
        revision,
        upserts,
        removed,
        owners,
        images,
        digest,
    } = update;
    Delta {
        epoch,
        base_revision,
        revision,
        upserts,
        removed,
        owners,
        images,
        digest,
    }
}

pub(super) fn refused(message: &str, error: &ConvertError) -> Status {
    Status::invalid_argument(format!("{message}.{error}"))
}

/// The agent keeps what it has and comes again; the reason is for the collector's own log only.
fn failed<S>(context: &Context<S>, error: &StoreError) -> Status {
    if let Some(more) = context.shared.trouble.pass() {
        error!(%error, more, "cannot store; agents are told to wait");
    }
    Status::unavailable("the collector's store does not work at the moment")
}
