//! Domain values as SQLite keeps them. SQLite's integers are signed and have 64 bits.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use archtrace_facts::fact::FactKey;
use archtrace_facts::identity::{self, Identity};
use archtrace_proto::convert::decode_identity;
use rusqlite::Row;

use super::writer::Failure;

/// Nanoseconds since 1970; times outside of 1970 to 2262 become the nearest of these.
pub(super) fn from_time(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

pub(super) fn to_time(nanos: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos.max(0).unsigned_abs())
}

/// A number that is counted and compared; beyond 63 bits, which no honest counter reaches, it stays
/// at the highest.
pub(super) fn from_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn to_count(count: i64) -> u64 {
    count.max(0).unsigned_abs()
}

/// A random number that is only ever tested for equality: all of its bits are kept.
pub(super) fn from_random(number: u64) -> i64 {
    number.cast_signed()
}

pub(super) fn to_random(number: i64) -> u64 {
    number.cast_unsigned()
}

/// Reads a word; one that this version does not know was not written by it.
pub(super) fn word<T>(row: &Row<'_>, column: &str) -> Result<T, Failure>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|error: T::Err| Failure::from(format!("column {column}: {error}")))
}

/// Reads the columns of a key, which facts and events have alike.
pub(super) fn key(row: &Row<'_>) -> Result<FactKey, Failure> {
    let cause: Option<String> = row.get("cause")?;
    let via: Option<String> = row.get("via")?;
    Ok(FactKey {
        cgroup: row.get("cgroup")?,
        binary: row.get("binary")?,
        path_resolved: row.get("path_resolved")?,
        arch: word(row, "arch")?,
        mode: word(row, "mode")?,
        emulator: row.get("emulator")?,
        via: via.map(|via| via.parse()).transpose()?,
        cause: cause.map(|cause| cause.parse()).transpose()?,
    })
}

/// Whose the row's cgroup is: as it was told, else as the cgroup's path says.
pub(super) fn identity(row: &Row<'_>, cgroup: &str) -> Result<Identity, Failure> {
    match row.get_ref("identity")?.as_blob_or_null()? {
        Some(told) => Ok(decode_identity(told)?),
        None => Ok(identity::of_cgroup(cgroup)),
    }
}
