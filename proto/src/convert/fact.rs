//! `model.proto`: facts, events, losses.

use archtrace_facts::fact::{Cause, Event, EventKind, Fact, FactId, FactKey, Loss, Mode};
use archtrace_facts::report::{NamedEvent, NamedFact, Names, ReportedLoss};

use super::{ConvertError, required, to_text, to_time, to_word};
use crate::v1;

impl From<Mode> for v1::ExecutionMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Native => Self::Native,
            Mode::Compat => Self::Compat,
            Mode::Emulated => Self::Emulated,
            Mode::Failed => Self::Failed,
        }
    }
}

pub(super) fn to_mode(field: &str, value: i32) -> Result<Mode, ConvertError> {
    match v1::ExecutionMode::try_from(value) {
        Ok(v1::ExecutionMode::Native) => Ok(Mode::Native),
        Ok(v1::ExecutionMode::Compat) => Ok(Mode::Compat),
        Ok(v1::ExecutionMode::Emulated) => Ok(Mode::Emulated),
        Ok(v1::ExecutionMode::Failed) => Ok(Mode::Failed),
        Ok(v1::ExecutionMode::Unspecified) => Err(ConvertError::missing(field)),
        Err(_) => Err(unknown(field, value, "execution mode")),
    }
}

fn to_cause(field: &str, value: i32) -> Result<Option<Cause>, ConvertError> {
    match v1::FailureCause::try_from(value) {
        Ok(v1::FailureCause::Unspecified) => Ok(None),
        Ok(v1::FailureCause::ForeignElf) => Ok(Some(Cause::ForeignElf)),
        Ok(v1::FailureCause::Other) => Ok(Some(Cause::Other)),
        Err(_) => Err(unknown(field, value, "failure cause")),
    }
}

fn from_cause(cause: Option<Cause>) -> v1::FailureCause {
    match cause {
        None => v1::FailureCause::Unspecified,
        Some(Cause::ForeignElf) => v1::FailureCause::ForeignElf,
        Some(Cause::Other) => v1::FailureCause::Other,
    }
}

fn to_event_kind(field: &str, value: i32) -> Result<EventKind, ConvertError> {
    match v1::EventKind::try_from(value) {
        Ok(v1::EventKind::EmulatedExec) => Ok(EventKind::EmulatedExec),
        Ok(v1::EventKind::FailedExec) => Ok(EventKind::FailedExec),
        Ok(v1::EventKind::Unspecified) => Err(ConvertError::missing(field)),
        Err(_) => Err(unknown(field, value, "event kind")),
    }
}

fn unknown(field: &str, value: i32, what: &str) -> ConvertError {
    ConvertError::new(
        field,
        format!("{value} is no {what} that this version knows"),
    )
}

impl From<&FactKey> for v1::FactKey {
    fn from(key: &FactKey) -> Self {
        let FactKey {
            cgroup,
            binary,
            path_resolved,
            arch,
            mode,
            emulator,
            cause,
        } = key;
        Self {
            cgroup: cgroup.clone(),
            binary: binary.clone(),
            path_resolved: *path_resolved,
            arch: arch.to_string(),
            mode: v1::ExecutionMode::from(*mode).into(),
            emulator: emulator.clone().unwrap_or_default(),
            cause: from_cause(*cause).into(),
        }
    }
}

impl TryFrom<v1::FactKey> for FactKey {
    type Error = ConvertError;

    fn try_from(key: v1::FactKey) -> Result<Self, ConvertError> {
        let v1::FactKey {
            cgroup,
            binary,
            path_resolved,
            arch,
            mode,
            emulator,
            cause,
        } = key;
        let mode = to_mode("mode", mode)?;
        let emulator = to_text("emulator", emulator)?;
        Ok(Self {
            cgroup: to_text("cgroup", cgroup)?,
            binary: to_text("binary", binary)?,
            path_resolved,
            arch: to_word("arch", &arch)?,
            mode,
            // An emulated binary whose emulator has an empty name has one all the same.
            emulator: (mode == Mode::Emulated || !emulator.is_empty()).then_some(emulator),
            cause: to_cause("cause", cause)?,
        })
    }
}

/// The 16 bytes that name a fact.
pub(super) fn to_id(field: &str, id: &[u8]) -> Result<FactId, ConvertError> {
    let wrong = |_| ConvertError::new(field, format!("has {} bytes, not 16", id.len()));
    id.try_into().map(FactId).map_err(wrong)
}

fn fact(fact: &Fact, names: Names) -> v1::Fact {
    let Fact {
        key,
        count,
        processes,
        cpu_ns,
        first_seen,
        last_seen,
    } = fact;
    v1::Fact {
        id: key.id().0.to_vec(),
        key: Some(key.into()),
        count: *count,
        processes: *processes,
        cpu_nanoseconds: *cpu_ns,
        first_seen: Some((*first_seen).into()),
        last_seen: Some((*last_seen).into()),
        namespace: names.namespace,
        pod: names.pod,
        container: names.container,
    }
}

impl From<&Fact> for v1::Fact {
    fn from(value: &Fact) -> Self {
        fact(value, Names::default())
    }
}

impl From<&NamedFact> for v1::Fact {
    fn from(value: &NamedFact) -> Self {
        fact(&value.fact, value.names.clone())
    }
}

impl TryFrom<v1::Fact> for NamedFact {
    type Error = ConvertError;

    fn try_from(value: v1::Fact) -> Result<Self, ConvertError> {
        let key: FactKey = required("key", value.key)?;
        if to_id("id", &value.id)? != key.id() {
            return Err(ConvertError::new(
                "id",
                "is not the one that follows from the key",
            ));
        }
        let fact = Fact {
            key,
            count: value.count,
            processes: value.processes,
            cpu_ns: value.cpu_nanoseconds,
            first_seen: to_time("first_seen", value.first_seen)?,
            last_seen: to_time("last_seen", value.last_seen)?,
        };
        Ok(Self {
            fact,
            names: to_names(value.namespace, value.pod, value.container)?,
        })
    }
}

fn to_names(namespace: String, pod: String, container: String) -> Result<Names, ConvertError> {
    Ok(Names {
        namespace: to_text("namespace", namespace)?,
        pod: to_text("pod", pod)?,
        container: to_text("container", container)?,
    })
}

fn event(event: &Event, names: Names) -> v1::Event {
    let Event {
        time,
        kind,
        pid,
        comm,
        key,
        errno,
    } = event;
    let kind = match kind {
        EventKind::EmulatedExec => v1::EventKind::EmulatedExec,
        EventKind::FailedExec => v1::EventKind::FailedExec,
    };
    v1::Event {
        time: Some((*time).into()),
        kind: kind.into(),
        pid: *pid,
        comm: comm.clone(),
        key: Some(key.into()),
        errno: *errno,
        namespace: names.namespace,
        pod: names.pod,
        container: names.container,
    }
}

impl From<&Event> for v1::Event {
    fn from(value: &Event) -> Self {
        event(value, Names::default())
    }
}

impl From<&NamedEvent> for v1::Event {
    fn from(value: &NamedEvent) -> Self {
        event(&value.event, value.names.clone())
    }
}

impl TryFrom<v1::Event> for NamedEvent {
    type Error = ConvertError;

    fn try_from(value: v1::Event) -> Result<Self, ConvertError> {
        let event = Event {
            time: to_time("time", value.time)?,
            kind: to_event_kind("kind", value.kind)?,
            pid: value.pid,
            comm: to_text("comm", value.comm)?,
            key: required("key", value.key)?,
            errno: value.errno,
        };
        Ok(Self {
            event,
            names: to_names(value.namespace, value.pod, value.container)?,
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
        } = loss;
        Self {
            stage: stage.clone(),
            count: *count,
            since: Some((*since).into()),
            until: Some((*until).into()),
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
        })
    }
}
