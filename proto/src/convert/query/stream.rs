//! What somebody who follows is told.

use archtrace_facts::fleet::{EventUpdate, FactUpdate, RemovedFact};

use crate::convert::fact::to_id;
use crate::convert::{ConvertError, required, to_text};
use crate::v1;
use crate::v1::stream_events_response::Message as EventMessage;
use crate::v1::watch_facts_response::Message as FactMessage;

impl From<&FactUpdate> for v1::WatchFactsResponse {
    fn from(update: &FactUpdate) -> Self {
        let message = match update {
            FactUpdate::Upsert(fact) => FactMessage::Upsert((&**fact).into()),
            FactUpdate::Removed(removed) => FactMessage::Removed(removed.into()),
            FactUpdate::SnapshotEnd(facts) => {
                FactMessage::SnapshotEnd(v1::SnapshotEnd { facts: *facts })
            }
            FactUpdate::SnapshotBegin(reason) => FactMessage::SnapshotBegin(v1::SnapshotBegin {
                reason: reason.clone(),
            }),
            FactUpdate::Coverage(coverage) => FactMessage::Coverage(coverage.into()),
        };
        Self {
            message: Some(message),
        }
    }
}

/// One message of a watch; `None` if it is one that only a newer peer sends.
///
/// # Errors
/// If it is not well formed.
pub fn decode_fact_update(
    response: v1::WatchFactsResponse,
) -> Result<Option<FactUpdate>, ConvertError> {
    let Some(message) = response.message else {
        return Ok(None);
    };
    Ok(Some(match message {
        FactMessage::Upsert(fact) => FactUpdate::Upsert(Box::new(required("upsert", Some(fact))?)),
        FactMessage::Removed(removed) => FactUpdate::Removed(required("removed", Some(removed))?),
        FactMessage::SnapshotEnd(end) => FactUpdate::SnapshotEnd(end.facts),
        FactMessage::SnapshotBegin(begin) => {
            FactUpdate::SnapshotBegin(to_text("snapshot_begin.reason", begin.reason)?)
        }
        FactMessage::Coverage(coverage) => {
            FactUpdate::Coverage(required("coverage", Some(coverage))?)
        }
    }))
}

impl From<&RemovedFact> for v1::RemovedFact {
    fn from(removed: &RemovedFact) -> Self {
        Self {
            cluster: removed.cluster.clone(),
            node: removed.node.clone(),
            id: removed.id.0.to_vec(),
        }
    }
}

impl TryFrom<v1::RemovedFact> for RemovedFact {
    type Error = ConvertError;

    fn try_from(removed: v1::RemovedFact) -> Result<Self, ConvertError> {
        Ok(Self {
            cluster: to_text("cluster", removed.cluster)?,
            node: to_text("node", removed.node)?,
            id: to_id("id", &removed.id)?,
        })
    }
}

impl From<&EventUpdate> for v1::StreamEventsResponse {
    fn from(update: &EventUpdate) -> Self {
        let message = match update {
            EventUpdate::Event(event) => EventMessage::Event((&**event).into()),
            EventUpdate::Coverage(coverage) => EventMessage::Coverage(coverage.into()),
            EventUpdate::Skipped(count) => EventMessage::Skipped(*count),
        };
        Self {
            message: Some(message),
        }
    }
}

/// One message of a stream; `None` if it is one that only a newer peer sends.
///
/// # Errors
/// If it is not well formed.
pub fn decode_event_update(
    response: v1::StreamEventsResponse,
) -> Result<Option<EventUpdate>, ConvertError> {
    let Some(message) = response.message else {
        return Ok(None);
    };
    Ok(Some(match message {
        EventMessage::Event(event) => EventUpdate::Event(Box::new(required("event", Some(event))?)),
        EventMessage::Coverage(coverage) => {
            EventUpdate::Coverage(required("coverage", Some(coverage))?)
        }
        EventMessage::Skipped(count) => EventUpdate::Skipped(count),
    }))
}
