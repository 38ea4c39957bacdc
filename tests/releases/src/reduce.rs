//! A message as somebody sees it who knows another protocol.

use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use tonic::Status;

/// Decodes a message by a descriptor, and encodes what that knows of it.
///
/// # Errors
/// If it is no such message.
pub fn reduced(descriptor: &MessageDescriptor, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    decode(descriptor, bytes).map(|message| message.encode_to_vec())
}

/// The same, decoded.
pub(crate) fn decode(
    descriptor: &MessageDescriptor,
    bytes: &[u8],
) -> Result<DynamicMessage, Status> {
    let mut message = DynamicMessage::decode(descriptor.clone(), bytes)
        .map_err(|error| Status::internal(format!("is no {}: {error}", descriptor.full_name())))?;
    forget_unknown(&mut message);
    Ok(message)
}

fn forget_unknown(message: &mut DynamicMessage) {
    message.take_unknown_fields().for_each(drop);
    message
        .fields_mut()
        .for_each(|(_, value)| forget_within(value));
}

fn forget_within(value: &mut Value) {
    match value {
        Value::Message(message) => forget_unknown(message),
        Value::List(values) => values.iter_mut().for_each(forget_within),
        Value::Map(values) => values.values_mut().for_each(forget_within),
        _ => {}
    }
}
