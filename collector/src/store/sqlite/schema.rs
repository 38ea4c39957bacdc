//! The tables, and how a file gets to have them.

use std::path::Path;

use rusqlite::Connection;

/// One step per version; `user_version` says how many of them a file has had. Steps that were
/// released are never edited.
const MIGRATIONS: [&str; 3] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
];

const NEWEST: u32 = MIGRATIONS.len() as u32;

/// Statements that a connection keeps prepared: all that the writer has, and for readers as many
/// combinations of conditions as people usually ask for.
pub(super) const STATEMENTS: usize = 64;

/// Opens a file for writing and brings it to the newest version, in one transaction.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Another process may look into the file (a backup, the sqlite3 shell).
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let had: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if had > NEWEST {
        return Err(OpenError::Newer {
            found: had,
            known: NEWEST,
        });
    }
    for step in MIGRATIONS.iter().skip(had as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", NEWEST)?;
    transaction.commit()?;
    Ok(connection)
}

#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("it has schema {found}, this version knows up to {known}")]
    Newer { found: u32, known: u32 },
}

impl OpenError {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Newer { .. } => {
                "use the newer archtrace-collector that wrote it, or another file"
            }
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::NotADatabase) => {
                    "name another file with --store sqlite:PATH; this one is left as it is"
                }
                Some(rusqlite::ErrorCode::DatabaseBusy) => "another process is writing to it",
                _ => {
                    "check that its directory exists and is writable, or name another with --store sqlite:PATH"
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_once_and_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("store.db");
        for _ in 0..2 {
            let db = open(&path).expect("opens");
            let version: u32 = db
                .query_row("PRAGMA user_version", [], |row| row.get(0))
                .expect("a number");
            assert_eq!(version, NEWEST);
        }
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let newer = dir.path().join("newer.db");
        open(&newer)
            .expect("opens")
            .pragma_update(None, "user_version", 99)
            .expect("writes");
        let text = dir.path().join("text.db");
        std::fs::write(&text, "this is a letter to my grandmother, not a database")
            .expect("writes");
        for (path, error) in [
            (newer, "it has schema 99, this version knows up to 3"),
            (text, "file is not a database"),
            (
                dir.path().join("no/such/dir.db"),
                "unable to open database file",
            ),
        ] {
            let told = open(&path).expect_err("unusable").to_string();
            assert!(told.contains(error), "{told}");
        }
    }
}
