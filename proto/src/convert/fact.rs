//! `model.proto`: facts.

use archtrace_facts::fact::{Cause, Fact, FactId, FactKey, Mode, Via};

use super::{ConvertError, required, to_text, to_time, to_word, unknown};
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

/// A cause of a newer agent is none of those that this version knows: something else, then. What it
/// is about must not be refused for that, and with it all that the agent tells later.
fn to_cause(value: i32) -> Option<Cause> {
    Some(match v1::FailureCause::try_from(value) {
        Ok(v1::FailureCause::Unspecified) => return None,
        Ok(v1::FailureCause::ForeignElf) => Cause::ForeignElf,
        Ok(v1::FailureCause::EmptyFile) => Cause::EmptyFile,
        Ok(v1::FailureCause::TruncatedElf) => Cause::TruncatedElf,
        Ok(v1::FailureCause::CorruptElf) => Cause::CorruptElf,
        Ok(v1::FailureCause::NoShebang) => Cause::NoShebang,
        Ok(v1::FailureCause::MissingInterpreter) => Cause::MissingInterpreter,
        Ok(v1::FailureCause::WrongInterpreter) => Cause::WrongInterpreter,
        Ok(v1::FailureCause::MissingEmulator) => Cause::MissingEmulator,
        Ok(v1::FailureCause::No32bitSupport) => Cause::No32Bit,
        Ok(v1::FailureCause::WrongByteOrder) => Cause::WrongByteOrder,
        Ok(v1::FailureCause::WrongClass) => Cause::WrongClass,
        Ok(v1::FailureCause::Other) | Err(_) => Cause::Other,
    })
}

fn from_cause(cause: Option<Cause>) -> v1::FailureCause {
    match cause {
        None => v1::FailureCause::Unspecified,
        Some(Cause::ForeignElf) => v1::FailureCause::ForeignElf,
        Some(Cause::EmptyFile) => v1::FailureCause::EmptyFile,
        Some(Cause::TruncatedElf) => v1::FailureCause::TruncatedElf,
        Some(Cause::CorruptElf) => v1::FailureCause::CorruptElf,
        Some(Cause::NoShebang) => v1::FailureCause::NoShebang,
        Some(Cause::MissingInterpreter) => v1::FailureCause::MissingInterpreter,
        Some(Cause::WrongInterpreter) => v1::FailureCause::WrongInterpreter,
        Some(Cause::MissingEmulator) => v1::FailureCause::MissingEmulator,
        Some(Cause::No32Bit) => v1::FailureCause::No32bitSupport,
        Some(Cause::WrongByteOrder) => v1::FailureCause::WrongByteOrder,
        Some(Cause::WrongClass) => v1::FailureCause::WrongClass,
        Some(Cause::Other) => v1::FailureCause::Other,
    }
}

/// An agent that says nothing knew of `binfmt_misc` only. A way of a newer agent is another one, so
/// somebody other than the kernel put the emulator in front.
fn to_via(mode: Mode, value: i32) -> Option<Via> {
    match v1::Via::try_from(value) {
        Ok(v1::Via::Unspecified) => (mode == Mode::Emulated).then_some(Via::BinfmtMisc),
        Ok(v1::Via::BinfmtMisc) => Some(Via::BinfmtMisc),
        Ok(v1::Via::Build) => Some(Via::Build),
        Ok(v1::Via::Direct) | Err(_) => Some(Via::Direct),
    }
}

fn from_via(via: Option<Via>) -> v1::Via {
    match via {
        None => v1::Via::Unspecified,
        Some(Via::BinfmtMisc) => v1::Via::BinfmtMisc,
        Some(Via::Direct) => v1::Via::Direct,
        Some(Via::Build) => v1::Via::Build,
    }
}

/// Whether every word of a key is one that this version knows: only then it can tell the key's id.
fn is_known(key: &v1::FactKey) -> bool {
    v1::FailureCause::try_from(key.cause).is_ok() && v1::Via::try_from(key.via).is_ok()
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
            via,
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
            via: from_via(*via).into(),
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
            via,
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
            via: to_via(mode, via),
            cause: to_cause(cause),
        })
    }
}

/// The 16 bytes that name a fact.
pub(super) fn to_id(field: &str, id: &[u8]) -> Result<FactId, ConvertError> {
    let wrong = |_| ConvertError::new(field, format!("has {} bytes, not 16", id.len()));
    id.try_into().map(FactId).map_err(wrong)
}

impl From<&Fact> for v1::Fact {
    fn from(fact: &Fact) -> Self {
        let Fact {
            key,
            count,
            processes,
            cpu_ns,
            first_seen,
            last_seen,
        } = fact;
        Self {
            id: key.id().0.to_vec(),
            key: Some(key.into()),
            count: *count,
            processes: *processes,
            cpu_nanoseconds: *cpu_ns,
            first_seen: Some((*first_seen).into()),
            last_seen: Some((*last_seen).into()),
        }
    }
}

impl TryFrom<v1::Fact> for Fact {
    type Error = ConvertError;

    fn try_from(value: v1::Fact) -> Result<Self, ConvertError> {
        let known = value.key.as_ref().is_none_or(is_known);
        let key: FactKey = required("key", value.key)?;
        if to_id("id", &value.id)? != key.id() && known {
            return Err(ConvertError::new(
                "id",
                "is not the one that follows from the key",
            ));
        }
        Ok(Self {
            key,
            count: value.count,
            processes: value.processes,
            cpu_ns: value.cpu_nanoseconds,
            first_seen: to_time("first_seen", value.first_seen)?,
            last_seen: to_time("last_seen", value.last_seen)?,
        })
    }
}
