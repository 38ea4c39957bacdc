//! `ingest.proto`: what an agent sends.

use archtrace_facts::report::{EventBatch, Hello, Record, StateUpdate, UpdateKind, Welcome};

use super::fact::to_id;
use super::{ConvertError, each, from_duration, required, to_duration, to_text, to_time};
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
        Ok(Self {
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

impl From<&Welcome> for v1::Welcome {
    fn from(welcome: &Welcome) -> Self {
        let Welcome {
            heartbeat_interval,
            max_message_bytes,
            next_sequence,
        } = *welcome;
        Self {
            heartbeat_interval: Some(from_duration(heartbeat_interval)),
            max_message_bytes,
            next_sequence,
        }
    }
}

impl TryFrom<v1::Welcome> for Welcome {
    type Error = ConvertError;

    fn try_from(welcome: v1::Welcome) -> Result<Self, ConvertError> {
        Ok(Self {
            heartbeat_interval: to_duration("heartbeat_interval", welcome.heartbeat_interval)?,
            max_message_bytes: welcome.max_message_bytes,
            next_sequence: welcome.next_sequence,
        })
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
        })
    }
}

impl From<&EventBatch> for v1::EventBatch {
    fn from(batch: &EventBatch) -> Self {
        let record = |record: &Record| v1::EventRecord {
            record: Some(match record {
                Record::Event(event) => v1::event_record::Record::Event(event.into()),
                Record::Loss(loss) => v1::event_record::Record::Loss(loss.into()),
                Record::Handler(change) => v1::event_record::Record::Handler(change.into()),
            }),
        };
        Self {
            stream_id: batch.stream_id,
            first_sequence: batch.first_sequence,
            records: batch.records.iter().map(record).collect(),
        }
    }
}

impl TryFrom<v1::EventBatch> for EventBatch {
    type Error = ConvertError;

    fn try_from(batch: v1::EventBatch) -> Result<Self, ConvertError> {
        let record = |record: v1::EventRecord| match record.record {
            Some(v1::event_record::Record::Event(event)) => event
                .try_into()
                .map(Record::Event)
                .map_err(|error: ConvertError| error.within("event")),
            Some(v1::event_record::Record::Loss(loss)) => loss
                .try_into()
                .map(Record::Loss)
                .map_err(|error: ConvertError| error.within("loss")),
            Some(v1::event_record::Record::Handler(change)) => change
                .try_into()
                .map(Record::Handler)
                .map_err(|error: ConvertError| error.within("handler")),
            None => Err(ConvertError::missing("record")),
        };
        Ok(Self {
            stream_id: batch.stream_id,
            first_sequence: batch.first_sequence,
            records: each("records", batch.records, record)?,
        })
    }
}
