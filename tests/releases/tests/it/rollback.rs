//! A store that a newer version brought further is used if that version says that it may be, else refused with what to
//! do.

use archtrace_collector::store::StoreError;
use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_releases::ask;
use rusqlite::Connection;

use super::running::{Collector, connect, copied, releases, restored, try_connect};

/// What a next version may do: more columns, with defaults, and more tables.
const EXPANDED: &str = "
    ALTER TABLE node_state ADD COLUMN next_version BIGINT NOT NULL DEFAULT 0;
    CREATE TABLE next_version (id BIGINT PRIMARY KEY);";

fn refused(opened: Result<(), StoreError>) {
    let told = opened.expect_err("it is too new").to_string();
    assert!(
        told.contains("it has schema 1001, this version knows up to"),
        "{told}"
    );
    assert!(told.contains("use the newer archtrace-collector"), "{told}");
}

#[tokio::test]
async fn a_file_can_be_taken_back_if_the_newer_version_says_so() {
    let release = releases().pop().expect("there is one");
    let protocol = release.protocol().expect("descriptors");
    let dir = tempfile::tempdir().expect("a directory");
    let path = copied(&release, dir.path());
    let ask = async || {
        let store = SqliteStore::open(&path).expect("opens");
        let collector = Collector::start(store).await;
        let answers = ask::all(&protocol, &collector.url).await;
        collector.end().await;
        answers.expect("answers")
    };
    let before = ask().await;
    let db = Connection::open(&path).expect("opens");
    let known: i64 = db
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .expect("a number");
    db.execute_batch(&EXPANDED.replace("BIGINT", "INTEGER"))
        .expect("is SQL");
    db.pragma_update(None, "user_version", known + 1)
        .expect("writes");
    assert_eq!(ask().await, before);
    db.pragma_update(None, "user_version", 1001)
        .expect("writes");
    let oldest = "UPDATE schema_works_with SET oldest = ?";
    db.execute(oldest, [known]).expect("writes");
    assert_eq!(ask().await, before);
    db.execute(oldest, [known + 1]).expect("writes");
    refused(SqliteStore::open(&path).map(drop));
}

#[tokio::test]
async fn a_database_can_be_taken_back_if_the_newer_version_says_so() {
    let Some(cluster) = archtrace_postgres::shared() else {
        return;
    };
    let release = releases().pop().expect("there is one");
    let protocol = release.protocol().expect("descriptors");
    let (url, name) = restored(cluster, &release, "rollback");
    let ask = async || {
        let collector = Collector::start(connect(&url).await).await;
        let answers = ask::all(&protocol, &collector.url).await;
        collector.end().await;
        answers.expect("answers")
    };
    let before = ask().await;
    let sql = |text: &str| cluster.sql(&name, text).expect("works");
    sql("UPDATE schema_works_with SET oldest = (SELECT version FROM schema_version)");
    sql("UPDATE schema_version SET version = 1001");
    sql(EXPANDED);
    assert_eq!(ask().await, before);
    sql("UPDATE schema_works_with SET oldest = oldest + 1");
    refused(try_connect(&url).await.map(drop));
}
