//! What a release stored is there, and agents go on where they were.

use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_collector::store::{Applied, Snapshot, Store};
use archtrace_facts::arch::Arch;
use archtrace_facts::digest::Digest;
use archtrace_facts::node::{NodeInfo, Preflight};
use archtrace_facts::report::Hello;
use archtrace_releases::ask;
use archtrace_releases::left::Release;
use rusqlite::Connection;
use serde_json::Value;
use std::time::SystemTime;

use super::running::{Collector, connect, copied, releases, restored};

/// Every question is answered as the release answered it.
async fn compare<S: Store>(release: &Release, kind: &str, store: S) {
    let collector = Collector::start(store).await;
    let protocol = release.protocol().expect("descriptors");
    let told = ask::all(&protocol, &collector.url).await.expect("answers");
    let recorded = release.answers(kind).expect("answers");
    for (question, answer) in recorded.as_object().expect("by question") {
        assert!(size(answer) > 1, "{question}: it says something");
        assert_eq!(
            &told[question],
            answer,
            "{kind} of {}: {question}",
            release.name()
        );
    }
    collector.end().await;
}

/// How many values there are in it.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 1,
    }
}

#[tokio::test]
async fn a_file_answers_as_it_did() {
    for release in releases() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = copied(&release, dir.path());
        // The second time, there is nothing left to do.
        for _ in 0..2 {
            let store = SqliteStore::open(&path).expect("opens");
            compare(&release, "sqlite", store).await;
        }
    }
}

#[tokio::test]
async fn a_database_answers_as_it_did() {
    let Some(cluster) = archtrace_postgres::shared() else {
        return;
    };
    for release in releases() {
        let (url, _) = restored(cluster, &release, "answers");
        // Two replicas come at once, and a third later.
        let (first, second) = tokio::join!(connect(&url), connect(&url));
        compare(&release, "postgres", first).await;
        compare(&release, "postgres", second).await;
        compare(&release, "postgres", connect(&url).await).await;
    }
}

/// Where an agent is, as a release stored it. Numbers that are random are signed there.
struct Agent {
    cluster: String,
    node: String,
    epoch: i64,
    revision: Option<i64>,
    digest: String,
    stream: i64,
    next: i64,
}

/// In the SQL of both.
const AGENTS: &str = "
    SELECT n.cluster, n.name, s.epoch, s.revision, HEX(s.digest), t.stream_id, t.next_sequence
    FROM node n JOIN node_state s ON s.node_id = n.id JOIN stream t ON t.node_id = n.id
    WHERE t.stream_id <> 0";

/// A release's agent comes to this version's collector, and goes on.
async fn go_on(store: &impl Store, agents: Vec<Agent>) {
    assert!(agents.len() > 5, "{}", agents.len());
    for agent in agents {
        let hello = Hello {
            cluster: agent.cluster,
            node: NodeInfo {
                page_size: 4096,
                ..NodeInfo::named(agent.node.clone(), Arch::Arm64)
            },
            epoch: agent.epoch.cast_unsigned(),
            attached_at: SystemTime::now(),
            event_stream_id: agent.stream.cast_unsigned(),
            oldest_sequence: 0,
            next_sequence: agent.next.cast_unsigned(),
            preflight: Preflight::default(),
            held: None,
            earlier_streams: Vec::new(),
        };
        let epoch = hello.epoch;
        let attached = store.attach(hello, SystemTime::now()).await.expect("works");
        assert_eq!(
            attached.next_sequence,
            agent.next.cast_unsigned(),
            "{}",
            agent.node
        );
        let held = attached.held.map(|(revision, digest)| {
            let hex: String = digest
                .to_bytes()
                .iter()
                .map(|byte| format!("{byte:02X}"))
                .collect();
            (revision.cast_signed(), hex)
        });
        assert_eq!(
            held,
            agent.revision.map(|revision| (revision, agent.digest)),
            "{}",
            agent.node
        );
        let snapshot = Snapshot {
            epoch,
            revision: u64::MAX >> 2,
            digest: Some(Digest::default()),
            ..Snapshot::default()
        };
        let applied = store
            .apply_snapshot(attached.lease, snapshot, SystemTime::now())
            .await;
        assert_eq!(applied.expect("works"), Applied::Yes(Digest::default()));
    }
}

#[tokio::test]
async fn agents_go_on_where_a_file_had_them() {
    for release in releases() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = copied(&release, dir.path());
        let agents = {
            let db = Connection::open(&path).expect("opens");
            let mut statement = db.prepare(AGENTS).expect("is SQL");
            let agents = statement.query_map([], |row| {
                Ok(Agent {
                    cluster: row.get(0)?,
                    node: row.get(1)?,
                    epoch: row.get(2)?,
                    revision: row.get(3)?,
                    digest: row.get(4)?,
                    stream: row.get(5)?,
                    next: row.get(6)?,
                })
            });
            let agents = agents.expect("runs").collect::<Result<Vec<_>, _>>();
            agents.expect("rows")
        };
        let store = SqliteStore::open(&path).expect("opens");
        go_on(&store, agents).await;
    }
}

#[tokio::test]
async fn agents_go_on_where_a_database_had_them() {
    let Some(cluster) = archtrace_postgres::shared() else {
        return;
    };
    for release in releases() {
        let (url, name) = restored(cluster, &release, "agents");
        let question = AGENTS.replace("HEX(s.digest)", "UPPER(ENCODE(s.digest, 'hex'))");
        let told = cluster.psql(&name).args(["--command", &question]).output();
        let told = String::from_utf8(told.expect("runs").stdout).expect("text");
        let agents = told.lines().map(|line| {
            let cells: Vec<_> = line.split('|').collect();
            let number = |at: usize| cells[at].parse::<i64>().ok();
            Agent {
                cluster: cells[0].to_owned(),
                node: cells[1].to_owned(),
                epoch: number(2).expect("a number"),
                revision: number(3),
                digest: cells[4].to_owned(),
                stream: number(5).expect("a number"),
                next: number(6).expect("a number"),
            }
        });
        go_on(&connect(&url).await, agents.collect()).await;
    }
}
