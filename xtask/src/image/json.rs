//! JSON of which the same content is the same bytes.

use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value};

/// `value`, with its keys sorted: maps have an order of their own in every process.
///
/// # Errors
/// If it cannot be told in JSON.
pub(super) fn bytes(value: &impl Serialize) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&sorted(serde_json::to_value(value)?))?)
}

/// The same for people: a line for each value.
///
/// # Errors
/// See [`bytes`].
pub(super) fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(&sorted(serde_json::to_value(value)?))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A feature of serde_json, which any crate of a build may ask for, keeps keys in the order they came in.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.into_iter().collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            let pairs = pairs.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}
