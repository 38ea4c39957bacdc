//! `model.proto`: the instruction that a process died of.

use archtrace_facts::fact::{IllegalInstruction, Origin};
use prost::Message as _;

use super::{ConvertError, some_text, unknown};
use crate::v1;

/// The longest instruction there is (amd64's has 15 bytes) and one more.
const MAX_BYTES: usize = 16;

/// An [`IllegalInstruction`] as bytes for a store: a newer version reads what an older one wrote.
#[must_use]
pub fn encode_instruction(instruction: &IllegalInstruction) -> Vec<u8> {
    v1::IllegalInstruction::from(instruction).encode_to_vec()
}

/// What [`encode_instruction`] wrote.
///
/// # Errors
/// If it did not write this.
pub fn decode_instruction(bytes: &[u8]) -> Result<IllegalInstruction, ConvertError> {
    let message = v1::IllegalInstruction::decode(bytes);
    message
        .map_err(|error| ConvertError::new("instruction", error.to_string()))?
        .try_into()
}

impl From<&IllegalInstruction> for v1::IllegalInstruction {
    fn from(instruction: &IllegalInstruction) -> Self {
        let IllegalInstruction {
            origin,
            code,
            sender,
            address,
            bytes,
            mnemonic,
            extension,
            cpu_has,
            module,
            offset,
        } = instruction.clone();
        let origin = match origin {
            Origin::Cpu => v1::SignalOrigin::Cpu,
            Origin::Itself => v1::SignalOrigin::Self_,
            Origin::Process => v1::SignalOrigin::Process,
        };
        Self {
            origin: origin.into(),
            code,
            sender,
            address,
            bytes,
            mnemonic: mnemonic.unwrap_or_default(),
            extension: extension.unwrap_or_default(),
            cpu_has,
            module: module.unwrap_or_default(),
            offset,
        }
    }
}

impl TryFrom<v1::IllegalInstruction> for IllegalInstruction {
    type Error = ConvertError;

    fn try_from(value: v1::IllegalInstruction) -> Result<Self, ConvertError> {
        let origin = match v1::SignalOrigin::try_from(value.origin) {
            Ok(v1::SignalOrigin::Cpu) => Origin::Cpu,
            Ok(v1::SignalOrigin::Self_) => Origin::Itself,
            Ok(v1::SignalOrigin::Process) => Origin::Process,
            Ok(v1::SignalOrigin::Unspecified) => return Err(ConvertError::missing("origin")),
            Err(_) => return Err(unknown("origin", value.origin, "origin of a signal")),
        };
        if value.bytes.len() > MAX_BYTES {
            let what = format!("has {} bytes, not {MAX_BYTES} at most", value.bytes.len());
            return Err(ConvertError::new("bytes", what));
        }
        Ok(Self {
            origin,
            code: value.code,
            sender: value.sender,
            address: value.address,
            bytes: value.bytes,
            mnemonic: some_text("mnemonic", value.mnemonic)?,
            extension: some_text("extension", value.extension)?,
            cpu_has: value.cpu_has,
            module: some_text("module", value.module)?,
            offset: value.offset,
        })
    }
}
