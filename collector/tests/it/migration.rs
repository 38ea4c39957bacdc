//! A file that an earlier version filled is taken over with all it holds.

use std::path::Path;

use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_collector::store::{Applied, Delta, EventQuery, FactQuery, NodeQuery, Store as _};
use archtrace_facts::fact::{Event, EventKind, Mode};
use archtrace_facts::fleet::Filter;
use archtrace_facts::node::Preflight;
use archtrace_facts::report::Record;
use archtrace_proto::convert::{encode_node, encode_preflight};
use rusqlite::{Connection, params};

use super::support::{STREAM, at, event, fact, hello, key, loss};

/// What a collector with schema 1 would have written: one node with three facts and three records.
/// Seconds are those of `support::at`.
const ROWS: &str = "
INSERT INTO epoch VALUES (1, 1, 1700000100000000000);
INSERT INTO fact (node_id, key_id, cgroup, binary, path_resolved, arch, mode, emulator, cause,
  namespace, pod, container, count, cpu_ns, first_seen, last_seen, processes, live_epoch)
VALUES
  (1, x'00', '/a.slice', '/emulated', 1, 'arm64', 'emulated', '/usr/bin/qemu-aarch64', NULL,
   '', '', '', 5, 5000, 1700000000000000000, 1700000005000000000, 1, 1),
  (1, x'01', '/a.slice', '/failed', 1, 'arm64', 'failed', NULL, 'foreign_elf',
   '', '', '', 6, 0, 1700000000000000000, 1700000006000000000, 0, 1),
  (1, x'02', '/a.slice', '/native', 1, 'amd64', 'native', NULL, NULL,
   '', '', '', 7, 0, 1700000000000000000, 1700000007000000000, 0, 1);
INSERT INTO fact_epoch VALUES (1, 1, 5, 5000, 5, 5000), (2, 1, 6, 0, 6, 0), (3, 1, 7, 0, 7, 0);
INSERT INTO event (node_id, stream_id, sequence, time, kind, pid, comm, errno, cgroup, binary,
  path_resolved, arch, mode, emulator, cause, namespace, pod, container)
VALUES
  (1, -8, 0, 1700000005000000000, 'emulated_exec', 42, 'sh', 0, '/a.slice', '/emulated', 1,
   'arm64', 'emulated', '/usr/bin/qemu-aarch64', NULL, '', '', ''),
  (1, -8, 1, 1700000004000000000, 'failed_exec', 42, 'sh', 8, '/a.slice', '/failed', 1,
   'arm64', 'failed', NULL, 'foreign_elf', '', '', '');
INSERT INTO event (node_id, stream_id, sequence, time, kind, stage, count, since)
VALUES (1, -8, 2, 1700000002000000000, 'loss', 'ring_buffer', 9, 1700000001000000000);
INSERT INTO stream VALUES (1, -8, 3, 2, 0);
";

fn write_schema_1(path: &Path) {
    let mut info = hello("n", 1).node;
    // What agents did not tell then.
    (info.cpu_features, info.runs_32bit) = (Vec::new(), None);
    info.lockdown.clear();
    let db = Connection::open(path).expect("opens");
    db.execute_batch(include_str!("../../src/store/sqlite/schema/1.sql"))
        .expect("is SQL");
    db.pragma_update(None, "user_version", 1).expect("writes");
    db.execute(
        "INSERT INTO node VALUES (1, 'test', 'n', 'amd64', ?, ?, 1, 4, ?3, ?3, ?3)",
        params![
            encode_node(&info),
            encode_preflight(&Preflight::default()),
            1_700_000_100_000_000_000_i64
        ],
    )
    .expect("a row");
    db.execute_batch(ROWS).expect("rows");
    for name in ["/emulated", "/failed", "/native"] {
        let mode = name.trim_start_matches('/').parse().expect("a mode");
        db.execute(
            "UPDATE fact SET key_id = ? WHERE binary = ?",
            params![key(name, mode).id().0, name],
        )
        .expect("a row");
    }
}

#[tokio::test]
async fn a_file_of_schema_1_is_taken_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    write_schema_1(&path);
    for _ in 0..2 {
        let store = SqliteStore::open(&path).expect("opens");
        let query = FactQuery {
            filter: Filter::default(),
            running: false,
            alive_since: at(0),
            after: None,
            limit: 9,
        };
        let facts = store.facts(query).await.expect("works");
        let told = [
            ("/native", Mode::Native, 7),
            ("/failed", Mode::Failed, 6),
            ("/emulated", Mode::Emulated, 5),
        ];
        for ((_, known), (binary, mode, count)) in facts.iter().zip(told) {
            let known = &known.fact;
            assert_eq!((&known.key, known.count), (&key(binary, mode), count));
        }
        assert_eq!(facts.len(), told.len());
        let query = EventQuery {
            filter: Filter::default(),
            kinds: Vec::new(),
            after: None,
            limit: 9,
        };
        let events = store.events(query).await.expect("works");
        let known: Vec<_> = events.into_iter().map(|(_, event)| event.record).collect();
        let uncounted = |record, edit: fn(&mut Event)| match record {
            Record::Event(mut event) => {
                event.count = 0;
                edit(&mut event);
                Record::Event(event)
            }
            other => other,
        };
        let failed = uncounted(event("/failed", 4), |event| {
            event.kind = EventKind::FailedExec;
            event.errno = 8;
            event.key = key("/failed", Mode::Failed);
        });
        let emulated = uncounted(event("/emulated", 5), |_| ());
        assert_eq!(known, [emulated, failed, loss("ring_buffer", 9)]);
        let query = NodeQuery {
            names: Vec::new(),
            alive_since: at(0),
            after: None,
            limit: 9,
        };
        let nodes = store.nodes(query).await.expect("works");
        let info = &nodes[0].1.info;
        assert_eq!((info.name.as_str(), info.runs_32bit), ("n", None));
    }
}

#[tokio::test]
async fn an_agent_goes_on_where_it_was_in_schema_1() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    write_schema_1(&path);
    let store = SqliteStore::open(&path).expect("opens");
    let attached = store.attach(hello("n", 1), at(101)).await.expect("works");
    assert_eq!((attached.revision, attached.next_sequence), (Some(4), 3));
    assert_eq!(STREAM.cast_signed(), -8, "as the rows have it");
    let delta = Delta {
        epoch: 1,
        base_revision: 4,
        revision: 5,
        upserts: vec![fact("/emulated", 8)],
        ..Delta::default()
    };
    let applied = store.apply_delta(attached.node, delta, at(102)).await;
    assert_eq!(applied.expect("works"), Applied::Yes);
    let query = FactQuery {
        filter: Filter {
            modes: vec![Mode::Emulated],
            ..Filter::default()
        },
        running: true,
        alive_since: at(0),
        after: None,
        limit: 9,
    };
    let facts = store.facts(query).await.expect("works");
    let counts: Vec<_> = facts.iter().map(|(_, fact)| fact.fact.count).collect();
    assert_eq!(counts, [8], "the same fact, not another one");
}
