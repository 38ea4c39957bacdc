//! `model.proto`: what happened, and what was lost.

use archtrace_facts::fact::{Event, EventKind, HandlerChangeKind, Loss};
use archtrace_facts::report::{HandlerChange, ReportedLoss, SequenceRange};

use super::{ConvertError, required, to_text, to_time, unknown};
use crate::v1;

fn to_event_kind(field: &str, value: i32) -> Result<EventKind, ConvertError> {
    match v1::EventKind::try_from(value) {
        Ok(v1::EventKind::EmulatedExec) => Ok(EventKind::EmulatedExec),
        Ok(v1::EventKind::FailedExec) => Ok(EventKind::FailedExec),
        Ok(v1::EventKind::IllegalInstruction) => Ok(EventKind::IllegalInstruction),
        Ok(v1::EventKind::Unspecified) => Err(ConvertError::missing(field)),
        Err(_) => Err(unknown(field, value, "event kind")),
    }
}

impl From<&Event> for v1::Event {
    fn from(event: &Event) -> Self {
        let Event {
            time,
            kind,
            pid,
            comm,
            key,
            errno,
            count,
            instruction,
        } = event;
        let kind = match kind {
            EventKind::EmulatedExec => v1::EventKind::EmulatedExec,
            EventKind::FailedExec => v1::EventKind::FailedExec,
            EventKind::IllegalInstruction => v1::EventKind::IllegalInstruction,
        };
        Self {
            time: Some((*time).into()),
            kind: kind.into(),
            pid: *pid,
            comm: comm.clone(),
            key: Some(key.into()),
            errno: *errno,
            count: *count,
            instruction: instruction.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Event> for Event {
    type Error = ConvertError;

    fn try_from(value: v1::Event) -> Result<Self, ConvertError> {
        Ok(Self {
            time: to_time("time", value.time)?,
            kind: to_event_kind("kind", value.kind)?,
            pid: value.pid,
            comm: to_text("comm", value.comm)?,
            key: required("key", value.key)?,
            errno: value.errno,
            count: value.count,
            instruction: value
                .instruction
                .map(|instruction| required("instruction", Some(instruction)))
                .transpose()?,
        })
    }
}

impl From<&Loss> for v1::Loss {
    fn from(loss: &Loss) -> Self {
        Self::from(&ReportedLoss::from(loss.clone()))
    }
}

impl From<&ReportedLoss> for v1::Loss {
    fn from(loss: &ReportedLoss) -> Self {
        let ReportedLoss {
            stage,
            count,
            since,
            until,
            range,
        } = loss;
        let range = range.map(|range| v1::SequenceRange {
            stream_id: range.stream_id,
            first: range.first,
            last: range.last,
        });
        Self {
            stage: stage.clone(),
            count: *count,
            since: Some((*since).into()),
            until: Some((*until).into()),
            range,
        }
    }
}

impl TryFrom<v1::Loss> for ReportedLoss {
    type Error = ConvertError;

    fn try_from(loss: v1::Loss) -> Result<Self, ConvertError> {
        if loss.stage.is_empty() {
            return Err(ConvertError::missing("stage"));
        }
        Ok(Self {
            stage: to_text("stage", loss.stage)?,
            count: loss.count,
            since: to_time("since", loss.since)?,
            until: to_time("until", loss.until)?,
            range: loss.range.map(to_range).transpose()?,
        })
    }
}

fn to_range(range: v1::SequenceRange) -> Result<SequenceRange, ConvertError> {
    let v1::SequenceRange {
        stream_id,
        first,
        last,
    } = range;
    if first > last {
        return Err(ConvertError::new("range.first", "is above range.last"));
    }
    Ok(SequenceRange {
        stream_id,
        first,
        last,
    })
}

impl From<&HandlerChange> for v1::HandlerChange {
    fn from(change: &HandlerChange) -> Self {
        let HandlerChange {
            time,
            kind,
            handler,
        } = change;
        let kind = match kind {
            HandlerChangeKind::Added => v1::HandlerChangeKind::Added,
            HandlerChangeKind::Removed => v1::HandlerChangeKind::Removed,
        };
        Self {
            time: Some((*time).into()),
            kind: kind.into(),
            handler: Some(handler.into()),
        }
    }
}

impl TryFrom<v1::HandlerChange> for HandlerChange {
    type Error = ConvertError;

    fn try_from(change: v1::HandlerChange) -> Result<Self, ConvertError> {
        let kind = match v1::HandlerChangeKind::try_from(change.kind) {
            Ok(v1::HandlerChangeKind::Added) => HandlerChangeKind::Added,
            Ok(v1::HandlerChangeKind::Removed) => HandlerChangeKind::Removed,
            Ok(v1::HandlerChangeKind::Unspecified) => return Err(ConvertError::missing("kind")),
            Err(_) => return Err(unknown("kind", change.kind, "change of a handler")),
        };
        Ok(Self {
            time: to_time("time", change.time)?,
            kind,
            handler: required("handler", change.handler)?,
        })
    }
}
