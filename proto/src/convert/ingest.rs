//! `ingest.proto`: what an agent sends.

use archtrace_facts::digest::Digest;
use archtrace_facts::report::{
    EventBatch, EventStream, Heartbeat, Hello, MAX_EARLIER_STREAMS, Record, StateUpdate, Throttle,
    UpdateKind, Welcome,
};

use prost::Message as _;

use super::fact::to_id;
use super::{ConvertError, at_most, each, from_duration, required, to_duration, to_text, to_time};
use crate::v1;

impl From<&Hello> for v1::Hello {
    fn from(hello: &Hello) -> Self {
        Self {
            cluster: hello.cluster.clone(),
            node: Some((&hello.node).into()),
            epoch: hello.epoch,
            attached_at: Some(hello.attached_at.into()),
            event_stream_id: hello.event_stream_id,
            oldest_sequence: hello.oldest_sequence,
            next_sequence: hello.next_sequence,
            preflight: Some((&hello.preflight).into()),
            revision: hello.held.map_or(0, |(revision, _)| revision),
            digest: from_digest(hello.held.map(|(_, digest)| digest)),
            earlier_streams: hello.earlier_streams.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Hello> for Hello {
    type Error = ConvertError;

    fn try_from(hello: v1::Hello) -> Result<Self, ConvertError> {
        if hello.event_stream_id == 0 {
            return Err(ConvertError::new(
                "event_stream_id",
                "is 0, which is the collector's own",
            ));
        }
        at_most(
            "earlier_streams",
            hello.earlier_streams.len(),
            MAX_EARLIER_STREAMS,
        )?;
        let digest = to_digest("digest", &hello.digest)?;
        Ok(Self {
            held: digest
                .filter(|_| hello.revision > 0)
                .map(|digest| (hello.revision, digest)),
            earlier_streams: each("earlier_streams", hello.earlier_streams, TryInto::try_into)?,
            cluster: to_text("cluster", hello.cluster)?,
            node: required("node", hello.node)?,
            epoch: hello.epoch,
            attached_at: to_time("attached_at", hello.attached_at)?,
            event_stream_id: hello.event_stream_id,
            oldest_sequence: hello.oldest_sequence,
            next_sequence: hello.next_sequence,
            preflight: required("preflight", hello.preflight)?,
        })
    }
}

impl From<&EventStream> for v1::EventStream {
    fn from(stream: &EventStream) -> Self {
        let EventStream {
            stream_id,
            oldest_sequence,
            next_sequence,
        } = *stream;
        Self {
            stream_id,
            oldest_sequence,
            next_sequence,
        }
    }
}

impl TryFrom<v1::EventStream> for EventStream {
    type Error = ConvertError;

    fn try_from(stream: v1::EventStream) -> Result<Self, ConvertError> {
        let v1::EventStream {
            stream_id,
            oldest_sequence,
            next_sequence,
        } = stream;
        if stream_id == 0 {
            return Err(ConvertError::new(
                "stream_id",
                "is 0, which is the collector's own",
            ));
        }
        if oldest_sequence > next_sequence {
            return Err(ConvertError::new(
                "oldest_sequence",
                "is above next_sequence",
            ));
        }
        Ok(Self {
            stream_id,
            oldest_sequence,
            next_sequence,
        })
    }
}

impl From<&Welcome> for v1::Welcome {
    fn from(welcome: &Welcome) -> Self {
        let Welcome {
            heartbeat_interval,
            max_message_bytes,
            next_sequence,
            resume,
            earlier_next_sequences,
            max_items,
        } = welcome.clone();
        Self {
            heartbeat_interval: Some(from_duration(heartbeat_interval)),
            max_message_bytes,
            next_sequence,
            resume,
            earlier_next_sequences,
            max_items,
        }
    }
}

impl TryFrom<v1::Welcome> for Welcome {
    type Error = ConvertError;

    fn try_from(welcome: v1::Welcome) -> Result<Self, ConvertError> {
        let earlier = welcome.earlier_next_sequences;
        at_most("earlier_next_sequences", earlier.len(), MAX_EARLIER_STREAMS)?;
        Ok(Self {
            heartbeat_interval: to_duration("heartbeat_interval", welcome.heartbeat_interval)?,
            max_message_bytes: welcome.max_message_bytes,
            next_sequence: welcome.next_sequence,
            resume: welcome.resume,
            earlier_next_sequences: earlier,
            max_items: welcome.max_items,
        })
    }
}

impl From<&Heartbeat> for v1::Heartbeat {
    fn from(beat: &Heartbeat) -> Self {
        Self {
            revision: beat.revision,
            next_sequence: beat.next_sequence,
            preflight: beat.preflight.as_ref().map(Into::into),
            digest: from_digest(beat.digest),
            health: beat.health.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Heartbeat> for Heartbeat {
    type Error = ConvertError;

    fn try_from(beat: v1::Heartbeat) -> Result<Self, ConvertError> {
        let preflight = beat
            .preflight
            .map(|preflight| required("preflight", Some(preflight)));
        let health = beat.health.map(|health| required("health", Some(health)));
        Ok(Self {
            revision: beat.revision,
            digest: to_digest("digest", &beat.digest)?,
            next_sequence: beat.next_sequence,
            preflight: preflight.transpose()?,
            health: health.transpose()?,
        })
    }
}

impl From<&Throttle> for v1::Throttle {
    fn from(throttle: &Throttle) -> Self {
        Self {
            retry_after: Some(from_duration(throttle.retry_after)),
            reason: throttle.reason.clone(),
        }
    }
}

impl TryFrom<v1::Throttle> for Throttle {
    type Error = ConvertError;

    fn try_from(throttle: v1::Throttle) -> Result<Self, ConvertError> {
        Ok(Self {
            retry_after: to_duration("retry_after", throttle.retry_after)?,
            reason: to_text("reason", throttle.reason)?,
        })
    }
}

/// Empty where there is none.
fn from_digest(digest: Option<Digest>) -> Vec<u8> {
    digest.map_or_else(Vec::new, |digest| digest.to_bytes().to_vec())
}

fn to_digest(field: &str, bytes: &[u8]) -> Result<Option<Digest>, ConvertError> {
    match <[u8; 16]>::try_from(bytes) {
        Ok(bytes) => Ok(Some(Digest::from_bytes(bytes))),
        Err(_) if bytes.is_empty() => Ok(None),
        Err(_) => Err(ConvertError::new(
            field,
            format!("has {} bytes, not 16", bytes.len()),
        )),
    }
}

impl From<&StateUpdate> for v1::StateUpdate {
    fn from(update: &StateUpdate) -> Self {
        let kind = match update.kind {
            UpdateKind::SnapshotChunk => v1::state_update::Kind::SnapshotChunk,
            UpdateKind::SnapshotEnd => v1::state_update::Kind::SnapshotEnd,
            UpdateKind::Delta => v1::state_update::Kind::Delta,
        };
        Self {
            kind: kind.into(),
            epoch: update.epoch,
            base_revision: update.base_revision,
            revision: update.revision,
            upserts: update.upserts.iter().map(Into::into).collect(),
            removed_ids: update.removed.iter().map(|id| id.0.to_vec()).collect(),
            owners: update.owners.iter().map(Into::into).collect(),
            images: update.images.iter().map(Into::into).collect(),
            digest: from_digest(update.digest),
        }
    }
}

impl TryFrom<v1::StateUpdate> for StateUpdate {
    type Error = ConvertError;

    fn try_from(update: v1::StateUpdate) -> Result<Self, ConvertError> {
        let kind = match v1::state_update::Kind::try_from(update.kind) {
            Ok(v1::state_update::Kind::SnapshotChunk) => UpdateKind::SnapshotChunk,
            Ok(v1::state_update::Kind::SnapshotEnd) => UpdateKind::SnapshotEnd,
            Ok(v1::state_update::Kind::Delta) => UpdateKind::Delta,
            Ok(v1::state_update::Kind::Unspecified) => return Err(ConvertError::missing("kind")),
            Err(_) => {
                let what = format!(
                    "{} is no kind of update that this version knows",
                    update.kind
                );
                return Err(ConvertError::new("kind", what));
            }
        };
        Ok(Self {
            kind,
            epoch: update.epoch,
            base_revision: update.base_revision,
            revision: update.revision,
            upserts: each("upserts", update.upserts, TryInto::try_into)?,
            removed: each("removed_ids", update.removed_ids, |id| to_id("id", &id))?,
            owners: each("owners", update.owners, TryInto::try_into)?,
            images: each("images", update.images, TryInto::try_into)?,
            digest: to_digest("digest", &update.digest)?,
        })
    }
}

/// A [`Record`] as bytes for a spool: a newer version reads what an older one wrote.
#[must_use]
pub fn encode_record(record: &Record) -> Vec<u8> {
    v1::EventRecord::from(record).encode_to_vec()
}

/// What [`encode_record`] wrote.
///
/// # Errors
/// If it did not write this.
pub fn decode_record(bytes: &[u8]) -> Result<Record, ConvertError> {
    let message = v1::EventRecord::decode(bytes);
    message
        .map_err(|error| ConvertError::new("record", error.to_string()))?
        .try_into()
}

impl From<&Record> for v1::EventRecord {
    fn from(record: &Record) -> Self {
        Self {
            record: Some(match record {
                Record::Event(event) => v1::event_record::Record::Event(event.into()),
                Record::Loss(loss) => v1::event_record::Record::Loss(loss.into()),
                Record::Handler(change) => v1::event_record::Record::Handler(change.into()),
            }),
        }
    }
}

impl TryFrom<v1::EventRecord> for Record {
    type Error = ConvertError;

    fn try_from(record: v1::EventRecord) -> Result<Self, ConvertError> {
        let within = |field: &'static str| move |error: ConvertError| error.within(field);
        match record.record {
            Some(v1::event_record::Record::Event(event)) => {
                event.try_into().map(Self::Event).map_err(within("event"))
            }
            Some(v1::event_record::Record::Loss(loss)) => {
                loss.try_into().map(Self::Loss).map_err(within("loss"))
            }
            Some(v1::event_record::Record::Handler(change)) => {
                let change = change.try_into();
                change.map(Self::Handler).map_err(within("handler"))
            }
            None => Err(ConvertError::missing("record")),
        }
    }
}

impl From<&EventBatch> for v1::EventBatch {
    fn from(batch: &EventBatch) -> Self {
        Self {
            stream_id: batch.stream_id,
            first_sequence: batch.first_sequence,
            records: batch.records.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::EventBatch> for EventBatch {
    type Error = ConvertError;

    fn try_from(batch: v1::EventBatch) -> Result<Self, ConvertError> {
        Ok(Self {
            stream_id: batch.stream_id,
            first_sequence: batch.first_sequence,
            records: each("records", batch.records, TryInto::try_into)?,
        })
    }
}
