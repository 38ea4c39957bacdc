//! What both stores ask, asked of SQLite.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};

use crate::store::sql::{Failure, Row, Statement, Value};

impl Row for rusqlite::Row<'_> {
    fn integer(&self, at: usize) -> Result<Option<i64>, Failure> {
        Ok(self.get_ref(at)?.as_i64_or_null()?)
    }

    fn text(&self, at: usize) -> Result<Option<&str>, Failure> {
        Ok(self.get_ref(at)?.as_str_or_null()?)
    }

    fn blob(&self, at: usize) -> Result<Option<&[u8]>, Failure> {
        Ok(self.get_ref(at)?.as_blob_or_null()?)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// Runs the statement and reads its rows.
pub(super) fn query<T>(
    db: &Connection,
    statement: &Statement,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut prepared = db.prepare_cached(&statement.text)?;
    let mut rows = prepared.query(params_from_iter(&statement.values))?;
    let mut answers = Vec::new();
    while let Some(row) = rows.next()? {
        answers.push(read(row)?);
    }
    Ok(answers)
}
