//! A release's collectors go on while this version's come: over the same database, which these bring further.

use std::collections::BTreeSet;
use std::time::Duration;

use archtrace_releases::left::Release;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, NoTls, Statement};

use super::running::{connect, releases, restored};

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connects");
    tokio::spawn(connection);
    client
}

/// The statement of a release's that begins so.
fn statement(release: &Release, begins: &str) -> String {
    let statements = release.statements().expect("statements");
    let mut found = statements
        .into_iter()
        .filter(|text| text.starts_with(begins));
    found
        .next()
        .unwrap_or_else(|| panic!("{} sends no {begins}", release.name()))
}

#[tokio::test]
async fn all_that_a_release_sends_is_understood() {
    let Some(cluster) = archtrace_postgres::shared() else {
        return;
    };
    for release in releases() {
        let (url, _) = restored(cluster, &release, "statements");
        drop(connect(&url).await);
        let client = client(&url).await;
        let statements = release.statements().expect("statements");
        assert!(statements.len() > 30, "{}", statements.len());
        for text in &statements {
            let prepared = client.prepare(text).await;
            assert!(
                prepared.is_ok(),
                "{} cannot: {text}\n{prepared:?}",
                release.name()
            );
        }
    }
}

/// Rows that a release inserts have a value for whatever needs one.
#[tokio::test]
async fn rows_of_a_release_still_fit() {
    let Some(cluster) = archtrace_postgres::shared() else {
        return;
    };
    for release in releases() {
        let (url, _) = restored(cluster, &release, "rows");
        drop(connect(&url).await);
        let client = client(&url).await;
        let statements = release.statements().expect("statements");
        let inserts: Vec<_> = statements
            .iter()
            .filter_map(|text| inserted(text))
            .collect();
        assert!(inserts.len() > 8, "{inserts:?}");
        for (table, columns) in inserts {
            let needed = "SELECT column_name FROM information_schema.columns
                WHERE table_schema = 'public' AND table_name = $1 AND is_nullable = 'NO'
                  AND column_default IS NULL AND is_identity = 'NO'";
            for row in client.query(needed, &[&table]).await.expect("answers") {
                let needed: &str = row.get(0);
                assert!(
                    columns.contains(needed),
                    "{} gives {table} no {needed}",
                    release.name()
                );
            }
        }
    }
}

/// The table, and the columns that get values.
fn inserted(text: &str) -> Option<(&str, BTreeSet<&str>)> {
    let into = text.strip_prefix("INSERT INTO ")?;
    let (names, behind) = into.split_once('(')?;
    let (columns, _) = behind.split_once(')')?;
    let columns = columns
        .split(',')
        .map(|column| column.trim().trim_matches('"'));
    Some((names.split_whitespace().next()?, columns.collect()))
}

/// What a release's collector does with each message of an agent.
async fn write(client: &mut Client, lock: &Statement, update: &Statement) {
    let tx = client.transaction().await.expect("begins");
    let node = 1_i64;
    tx.query_one(lock, &[&node]).await.expect("it is there");
    let done = tx.execute(update, &[&1_i64, &i64::MAX, &node]).await;
    assert_eq!(done.expect("works"), 1);
    tx.commit().await.expect("commits");
}

#[tokio::test]
async fn a_release_writes_on_while_the_database_is_brought_further() {
    let Some(cluster) = archtrace_postgres::shared() else {
        return;
    };
    // The first: a step of those since has to change a table that is written to.
    for release in releases().into_iter().take(1) {
        let (url, _) = restored(cluster, &release, "meanwhile");
        let lock = statement(&release, "SELECT epoch, revision, session");
        let update = statement(&release, "UPDATE node_state SET version = version + $1");
        let mut old = client(&url).await;
        // Prepared once, as its collectors do.
        let lock = old.prepare(&lock).await.expect("is SQL");
        let update = old.prepare(&update).await.expect("is SQL");
        write(&mut old, &lock, &update).await;
        // A backup, or somebody's question, that takes as long as it takes.
        let mut reader = client(&url).await;
        let reading = reader.transaction().await.expect("begins");
        let question = "SELECT COUNT(*) FROM node_state";
        reading.query_one(question, &[]).await.expect("answers");
        let new = tokio::spawn({
            let url = url.clone();
            async move { connect(&url).await }
        });
        // It gets its turn again and again while the new one cannot do its work.
        for _ in 0..8 {
            sleep(Duration::from_millis(700)).await;
            let wrote = timeout(Duration::from_secs(30), write(&mut old, &lock, &update)).await;
            wrote.expect("nobody keeps it from writing");
        }
        let waits = "SELECT COUNT(*) FROM information_schema.columns
            WHERE table_name = 'node_state' AND column_name = 'forgotten_session'";
        let changed: i64 = old.query_one(waits, &[]).await.expect("answers").get(0);
        assert_eq!(changed, 0, "the new one waits for the reader");
        reading.commit().await.expect("ends");
        drop(new.await.expect("it does not panic"));
        write(&mut old, &lock, &update).await;
    }
}
