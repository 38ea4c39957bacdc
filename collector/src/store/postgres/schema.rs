//! The tables, and how a database gets to have them, whichever replica comes first.
//!
//! The one row of `schema_version` is the lock: whoever makes a step holds it, and moves it on in the
//! same transaction. Others wait for the row, read it again and find the step made. No advisory locks:
//! not everything that speaks PostgreSQL's protocol has them.

use super::errors::{Trouble, code};
use super::pool::Database;
use crate::store::sql::{Failure, TAKEN_AS_IT_IS};

/// One step per version. Steps that were released are never edited. From the fourth on, `schema_works_with` says
/// which programs work with the database still: a step that takes something away from them, or gives it another
/// meaning, has to move it on.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Two replicas may make the very first table at the same time, which PostgreSQL does not take well from
/// one of them: <https://www.postgresql.org/docs/15/sql-createtable.html> promises nothing for IF NOT EXISTS.
const FIRST_TABLE_TRIES: usize = 10;

/// How long a step waits for a lock: whoever wants the table behind it waits as well, and agents are not to notice.
/// What holds it for longer (a backup, a question of somebody's) is waited for between two tries.
const WITHOUT_WAITING: &str = "SET LOCAL lock_timeout = '2s'";

/// Brings the database to this version's schema. One that a newer program brought further is taken as it is, if
/// that program says that it may be.
pub(super) async fn migrate(database: &Database) -> Result<(), Trouble> {
    if version(database).await?.is_none() {
        make_first_table(database).await?;
    }
    loop {
        let tx = database.begin().await?;
        let row = tx
            .row(
                "SELECT version FROM schema_version WHERE id = 1 FOR UPDATE",
                &[],
            )
            .await?;
        let had: i64 = row.try_get(0).map_err(Failure::from)?;
        if had > NEWEST {
            let works_with = "SELECT oldest FROM schema_works_with WHERE id = 1";
            let oldest: i64 = tx
                .row(works_with, &[])
                .await?
                .try_get(0)
                .map_err(Failure::from)?;
            if oldest > NEWEST {
                return Err(Trouble::Newer {
                    found: had,
                    known: NEWEST,
                });
            }
            tracing::warn!(had, known = NEWEST, "{TAKEN_AS_IT_IS}");
        }
        let step = usize::try_from(had)
            .ok()
            .and_then(|had| MIGRATIONS.get(had));
        let Some(step) = step else {
            return Ok(tx.commit().await?);
        };
        tracing::info!(step = had + 1, "bringing the database's schema up to date");
        tx.batch(WITHOUT_WAITING).await?;
        tx.batch(step).await?;
        tx.execute(
            "UPDATE schema_version SET version = $1 WHERE id = 1",
            &[&(had + 1)],
        )
        .await?;
        tx.commit().await?;
    }
}

/// The version that the database has, `None` if it has no table of ours.
async fn version(database: &Database) -> Result<Option<i64>, Trouble> {
    let tx = database.begin().await?;
    let found = tx
        .rows("SELECT version FROM schema_version WHERE id = 1", &[])
        .await;
    match found {
        Ok(rows) => {
            tx.commit().await?;
            let row = rows.first();
            Ok(row
                .map(|row| row.try_get(0))
                .transpose()
                .map_err(Failure::from)?)
        }
        // undefined_table
        Err(failure) if code(&failure) == Some("42P01") => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

async fn make_first_table(database: &Database) -> Result<(), Trouble> {
    let mut tries = 0;
    loop {
        let tx = database.begin().await?;
        let made = tx
            .batch(
                "CREATE TABLE IF NOT EXISTS schema_version (
                     id BIGINT PRIMARY KEY, version BIGINT NOT NULL);
                 INSERT INTO schema_version (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING",
            )
            .await;
        let made = match made {
            Ok(()) => tx.commit().await,
            Err(failure) => Err(failure),
        };
        tries += 1;
        match made {
            Ok(()) => return Ok(()),
            // unique_violation of the catalogue, duplicate_table, duplicate_object: the other one was faster.
            Err(failure)
                if tries < FIRST_TABLE_TRIES
                    && matches!(code(&failure), Some("23505" | "42P07" | "42710" | "40001")) => {}
            Err(failure) => return Err(failure.into()),
        }
    }
}
