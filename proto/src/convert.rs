//! Protobuf messages from and to the types of `archtrace_facts`: the only place where they meet.
//!
//! Towards protobuf nothing can fail. From protobuf everything is checked, because it comes from
//! a peer: what is missing, malformed, unknown or not printable is a [`ConvertError`] that names
//! the field. Words of a newer peer that this build does not know are errors too (so a collector is
//! upgraded before its agents), except those that may well become more and have a general one to
//! fall back to: stages of losses pass as they are, causes of failures become `other`, and ways to
//! an emulator `direct`, roles of files `other`. Facts that differ in nothing but such words are then one and the same.

mod event;
mod fact;
mod identity;
mod image;
mod ingest;
mod instruction;
mod node;
mod query;

pub use identity::{decode_identity, encode_identity};
pub use image::{decode_image, encode_image};
pub use ingest::{decode_record, encode_record};
pub use instruction::{decode_instruction, encode_instruction};
pub use node::{
    decode_handler, decode_health, decode_node, decode_preflight, encode_handler, encode_health,
    encode_node, encode_preflight,
};
pub use query::{
    decode_cost_dimensions, decode_dimensions, decode_event_update, decode_fact_update,
    decode_pricing, decode_totals,
};

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use archtrace_facts::text::is_printable;

/// What is wrong with a message, and in which of its fields.
#[derive(Debug, PartialEq, Eq)]
pub struct ConvertError {
    /// Names as in the .proto files, outermost first, such as `upserts[3].key.arch`.
    field: String,
    what: String,
}

impl std::error::Error for ConvertError {}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.what)
    }
}

impl ConvertError {
    fn new(field: &str, what: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            what: what.into(),
        }
    }

    fn missing(field: &str) -> Self {
        Self::new(field, "is missing")
    }

    /// The same error, seen from the message that holds the field's message as `outer`.
    fn within(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

/// The latest time that converts: nanoseconds since 1970 have to fit 63 bits in stores (2262).
const LATEST: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

fn to_time(field: &str, value: Option<prost_types::Timestamp>) -> Result<SystemTime, ConvertError> {
    let value = value.ok_or_else(|| ConvertError::missing(field))?;
    let secs = u64::try_from(value.seconds);
    let nanos = u32::try_from(value.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000);
    match (secs, nanos) {
        (Ok(secs), Some(nanos)) if Duration::new(secs, nanos) <= LATEST => {
            Ok(SystemTime::UNIX_EPOCH + Duration::new(secs, nanos))
        }
        _ => Err(ConvertError::new(
            field,
            "is no time between the years 1970 and 2262",
        )),
    }
}

/// A time whose absence says that there is none.
fn some_time(
    field: &str,
    value: Option<prost_types::Timestamp>,
) -> Result<Option<SystemTime>, ConvertError> {
    value.map(|value| to_time(field, Some(value))).transpose()
}

fn to_duration(
    field: &str,
    value: Option<prost_types::Duration>,
) -> Result<Duration, ConvertError> {
    let value = value.ok_or_else(|| ConvertError::missing(field))?;
    Duration::try_from(value).map_err(|_| ConvertError::new(field, "is no duration that can pass"))
}

/// A duration too long for protobuf (10,000 years) becomes the longest one.
fn from_duration(value: Duration) -> prost_types::Duration {
    value.try_into().unwrap_or(prost_types::Duration {
        seconds: 315_576_000_000,
        nanos: 0,
    })
}

/// Terminals and log files will see it.
fn to_text(field: &str, text: String) -> Result<String, ConvertError> {
    if text.chars().all(is_printable) {
        return Ok(text);
    }
    Err(ConvertError::new(
        field,
        "holds characters that are not printable; write them as \\xNN",
    ))
}

/// A text whose absence is the empty one.
fn some_text(field: &str, text: String) -> Result<Option<String>, ConvertError> {
    let text = to_text(field, text)?;
    Ok((!text.is_empty()).then_some(text))
}

fn to_texts(field: &str, texts: Vec<String>) -> Result<Vec<String>, ConvertError> {
    each(field, texts, |text| to_text("text", text))
}

fn to_word<T: FromStr<Err: fmt::Display>>(field: &str, text: &str) -> Result<T, ConvertError> {
    text.parse()
        .map_err(|error: T::Err| ConvertError::new(field, error.to_string()))
}

/// A word whose absence is the empty text.
fn some_word<T: FromStr<Err: fmt::Display>>(
    field: &str,
    text: &str,
) -> Result<Option<T>, ConvertError> {
    (!text.is_empty()).then(|| to_word(field, text)).transpose()
}

/// Refuses a list that is longer than any honest peer's.
fn at_most(field: &str, count: usize, limit: usize) -> Result<(), ConvertError> {
    if count > limit {
        let what = format!("has {count} elements, not {limit} at most");
        return Err(ConvertError::new(field, what));
    }
    Ok(())
}

fn unknown(field: &str, value: i32, what: &str) -> ConvertError {
    ConvertError::new(
        field,
        format!("{value} is no {what} that this version knows"),
    )
}

/// Converts every element; the error tells which one it was.
fn each<A, B>(
    field: &str,
    items: Vec<A>,
    convert: impl Fn(A) -> Result<B, ConvertError>,
) -> Result<Vec<B>, ConvertError> {
    items
        .into_iter()
        .enumerate()
        .map(|(i, item)| convert(item).map_err(|error| error.within(&format!("{field}[{i}]"))))
        .collect()
}

/// What may be missing.
fn some<A, B: TryFrom<A, Error = ConvertError>>(
    field: &str,
    value: Option<A>,
) -> Result<Option<B>, ConvertError> {
    value.map(|value| required(field, Some(value))).transpose()
}

fn required<A, B: TryFrom<A, Error = ConvertError>>(
    field: &str,
    value: Option<A>,
) -> Result<B, ConvertError> {
    let value = value.ok_or_else(|| ConvertError::missing(field))?;
    B::try_from(value).map_err(|error| error.within(field))
}
