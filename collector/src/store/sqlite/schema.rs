//! The tables, and how a file gets to have them.

use std::path::Path;

use rusqlite::Connection;

use super::owners;
use super::writer::Failure;
use crate::store::sql::TAKEN_AS_IT_IS;

/// One step per version; `user_version` says how many of them a file has had. Steps that were
/// released are never edited. From the seventh on, `schema_works_with` says which programs work with the file still:
/// a step that takes something away from them, or gives it another meaning, has to move it on.
const MIGRATIONS: [&str; 7] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
];

const NEWEST: u32 = MIGRATIONS.len() as u32;

/// The step from which on identities stand in columns too.
const OWNERS_IN_COLUMNS: u32 = 4;

/// Statements that a connection keeps prepared: all that the writer has, and for readers as many
/// combinations of conditions as people usually ask for.
pub(super) const STATEMENTS: usize = 64;

/// Pages of 4 KiB in the log at which it is copied into the file: 16 MiB, so that a page which many
/// commits change is copied once.
const CHECKPOINT_PAGES: u32 = 4096;

/// To how many bytes the log is cut after a reader has kept it from being copied for long.
const LOG_BYTES: u32 = 64 << 20;

/// Pages that the writer keeps in memory, in KiB. The kernel keeps the file's pages anyway (as memory
/// that it may take back, unlike with mmap, where they would count as this process's): this saves
/// copying the inner pages of the indices again and again.
const WRITER_CACHE_KIB: i32 = 8 << 10;

/// The same for each reader, which begins anew after every commit of the writer.
pub(super) const READER_CACHE_KIB: i32 = 2 << 10;

/// Opens a file for writing and brings it to the newest version, in one transaction. One that a newer program
/// brought further is taken as it is, if that program says that it may be.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    // Steps replace tables that others refer to; <https://sqlite.org/lang_altertable.html#otheralter>.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Another process may look into the file (a backup, the sqlite3 shell).
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let had: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if had > NEWEST {
        let works_with = "SELECT oldest FROM schema_works_with WHERE id = 1";
        let oldest: u32 = transaction.query_row(works_with, [], |row| row.get(0))?;
        if oldest > NEWEST {
            return Err(OpenError::Newer {
                found: had,
                known: NEWEST,
            });
        }
        tracing::warn!(had, known = NEWEST, "{TAKEN_AS_IT_IS}");
    }
    for step in MIGRATIONS.iter().skip(had as usize) {
        transaction.execute_batch(step)?;
    }
    if (1..OWNERS_IN_COLUMNS).contains(&had) {
        owners::fill(&transaction).map_err(OpenError::Content)?;
    }
    transaction.pragma_update(None, "user_version", had.max(NEWEST))?;
    transaction.commit()?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("what is in it does not read: {0}")]
    Content(Failure),
    #[error("it has schema {found}, this version knows up to {known}")]
    Newer { found: u32, known: u32 },
}

impl OpenError {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Newer { .. } => {
                "use the newer archtrace-collector that wrote it, or another file"
            }
            Self::Content(_) => {
                "it is damaged: restore it from a backup, or name another file with --store sqlite:PATH"
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
    use std::time::SystemTime;

    use archtrace_facts::fact::Mode;
    use archtrace_facts::select::{Filter, Selection};
    use archtrace_query::read::FactQuery;
    use rusqlite::params_from_iter;

    use super::*;
    use crate::store::sql::{self, Dialect, Statement};

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

    /// As a program of another version would leave it.
    fn brought_to(path: &Path, schema: u32, oldest: u32) {
        let db = open(path).expect("opens");
        db.pragma_update(None, "user_version", schema)
            .expect("writes");
        db.execute("UPDATE schema_works_with SET oldest = ?", [oldest])
            .expect("writes");
    }

    #[test]
    fn what_a_newer_program_left_usable_is_used_and_left_as_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("store.db");
        brought_to(&path, 99, NEWEST);
        for _ in 0..2 {
            let db = open(&path).expect("opens");
            let version: u32 = db
                .query_row("PRAGMA user_version", [], |row| row.get(0))
                .expect("a number");
            assert_eq!(version, 99);
        }
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let newer = dir.path().join("newer.db");
        brought_to(&newer, 99, 98);
        let text = dir.path().join("text.db");
        std::fs::write(&text, "this is a letter to my grandmother, not a database")
            .expect("writes");
        for (path, error) in [
            (newer, "it has schema 99, this version knows up to 7"),
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

    /// What people and other parts ask often must not walk over all facts or events.
    #[test]
    fn questions_find_their_index() {
        let dir = tempfile::tempdir().expect("a directory");
        let db = open(&dir.path().join("store.db")).expect("opens");
        let asked = |filter: Filter, running| FactQuery {
            selection: Selection {
                allow: vec![filter],
                ..Selection::default()
            },
            running,
            history: false,
            alive_since: SystemTime::UNIX_EPOCH,
            after: None,
            limit: 9,
        };
        let none = Filter::default;
        let word = || vec!["x".to_owned()];
        let modes = vec![Mode::Emulated];
        for (filter, running, index) in [
            (
                Filter { modes, ..none() },
                false,
                "f USING INDEX fact_not_native (mode=? AND live=?)",
            ),
            (
                Filter {
                    pods: word(),
                    ..none()
                },
                false,
                "o USING INDEX owner_by_pod (pod=?)",
            ),
            (
                Filter {
                    namespaces: word(),
                    ..none()
                },
                false,
                "o USING INDEX owner_by_namespace (namespace=?)",
            ),
            (
                Filter {
                    workloads: word(),
                    ..none()
                },
                false,
                "o USING INDEX owner_by_workload (workload=?)",
            ),
            (
                Filter {
                    nodes: word(),
                    ..none()
                },
                false,
                "n USING INDEX node_by_name (name=?)",
            ),
            (none(), true, "f USING INDEX fact_running (live=?)"),
        ] {
            let query = asked(filter, running);
            let Statement { text, values } = sql::list_facts(Dialect::Sqlite, &query);
            let plan = db
                .prepare(&format!("EXPLAIN QUERY PLAN {text}"))
                .expect("is SQL")
                .query_map(params_from_iter(values), |row| row.get(3))
                .expect("runs")
                .collect::<rusqlite::Result<Vec<String>>>()
                .expect("a plan");
            assert!(plan[0].ends_with(index), "{query:?}: {plan:#?}");
        }
    }
}
