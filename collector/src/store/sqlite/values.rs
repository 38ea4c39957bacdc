//! Domain values as SQLite keeps them.

use archtrace_facts::digest::Digest;
use rusqlite::Row;

pub(super) use crate::store::sql::{
    from_count, from_random, from_time, to_count, to_random, to_time,
};

/// Reads a digest, as [`Digest::to_bytes`] wrote it.
pub(super) fn digest(row: &Row<'_>, column: &str) -> rusqlite::Result<Digest> {
    row.get(column).map(Digest::from_bytes)
}
