//! A file that an earlier version filled is taken over with all it holds.

use std::path::Path;

use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_collector::store::{Applied, Snapshot, Store as _};
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Event, EventKind, Fact, Mode};
use archtrace_facts::identity::Identity;
use archtrace_facts::node::Preflight;
use archtrace_facts::report::Record;
use archtrace_facts::select::{Filter, Selection};
use archtrace_proto::convert::{encode_identity, encode_node, encode_preflight};
use archtrace_query::Read as _;
use archtrace_query::read::{EventQuery, FactQuery, NodeQuery};
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

/// What a collector with schema 3 would have added: a second node with a pod, which was at its second
/// epoch, a gap that nobody explained, and a fact of which only the first epoch told.
const ROWS_OF_3: &str = "
INSERT INTO epoch VALUES (2, 1, 1700000100000000000), (2, 2, 1700000200000000000);
INSERT INTO fact (id, node_id, key_id, cgroup, binary, path_resolved, arch, mode, emulator, via, cause,
  count, cpu_ns, first_seen, last_seen, processes, live_epoch)
VALUES
  (10, 2, x'10', '/pod', '/emulated', 1, 'arm64', 'emulated', '/usr/bin/qemu-aarch64', 'binfmt_misc',
   NULL, 12, 12000, 1700000000000000000, 1700000007000000000, 1, 2),
  (11, 2, x'11', '/a.slice', '/native', 1, 'amd64', 'native', NULL, NULL, NULL,
   3, 3000, 1700000000000000000, 1700000003000000000, 1, 1);
INSERT INTO fact_epoch VALUES (10, 1, 7, 7000, 7, 7000), (10, 2, 5, 5000, 5, 5000),
  (11, 1, 3, 3000, 3, 3000);
INSERT INTO event (node_id, stream_id, sequence, time, kind, pid, comm, errno, count, cgroup, binary,
  path_resolved, arch, mode, emulator, via)
VALUES
  (2, -8, 9, 1700000007000000000, 'emulated_exec', 42, 'sh', 0, 1, '/pod', '/emulated', 1,
   'arm64', 'emulated', '/usr/bin/qemu-aarch64', 'binfmt_misc');
INSERT INTO event (node_id, stream_id, sequence, time, kind, stage, count, since)
VALUES (2, 0, 0, 1700000200000000000, 'loss', 'agent_down', 0, 1700000150000000000);
INSERT INTO stream VALUES (2, -8, 10, 1, 9), (2, 0, 1, 0, 0);
";

fn write_schema_3(path: &Path) {
    write_schema_1(path);
    let db = Connection::open(path).expect("opens");
    for step in [
        include_str!("../../src/store/sqlite/schema/2.sql"),
        include_str!("../../src/store/sqlite/schema/3.sql"),
    ] {
        db.execute_batch(step).expect("is SQL");
    }
    db.pragma_update(None, "user_version", 3).expect("writes");
    db.execute(
        "INSERT INTO node VALUES (2, 'test', 'm', 'amd64', ?, ?, 2, 6, ?3, ?3, ?3)",
        params![
            encode_node(&hello("m", 2).node),
            encode_preflight(&Preflight::default()),
            1_700_000_200_000_000_000_i64
        ],
    )
    .expect("a row");
    db.execute_batch(ROWS_OF_3).expect("rows");
    for (row, fact) in [(10, in_pod(0)), (11, native(0))] {
        db.execute(
            "UPDATE fact SET key_id = ? WHERE id = ?",
            params![fact.key.id().0, row],
        )
        .expect("a row");
    }
    db.execute(
        "INSERT INTO owner VALUES (2, '/pod', 'pay', 'api-1', ?)",
        [encode_identity(&pod())],
    )
    .expect("a row");
}

fn pod() -> Identity {
    Identity {
        namespace: "pay".to_owned(),
        pod: "api-1".to_owned(),
        container: "api".to_owned(),
        workload: "Deployment/api".to_owned(),
        image: "api:1".to_owned(),
        ..Identity::default()
    }
}

fn in_pod(count: u64) -> Fact {
    let mut told = fact("/emulated", count);
    told.key.cgroup = "/pod".to_owned();
    told
}

fn native(count: u64) -> Fact {
    Fact {
        key: key("/native", Mode::Native),
        ..fact("", count)
    }
}

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
            selection: Selection::default(),
            running: false,
            history: false,
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
            selection: Selection::default(),
            kinds: Vec::new(),
            ascending: false,
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
    assert_eq!(
        (attached.held, attached.next_sequence),
        (None, 3),
        "nobody knows the facts' digest, so a snapshot has to come"
    );
    assert_eq!(STREAM.cast_signed(), -8, "as the rows have it");
    let told = fact("/emulated", 8);
    let digest = Digest::of_fact(&told);
    let snapshot = Snapshot {
        epoch: 1,
        revision: 5,
        facts: vec![told],
        digest: Some(digest),
        ..Snapshot::default()
    };
    let applied = store
        .apply_snapshot(attached.lease, snapshot, at(102))
        .await;
    assert_eq!(applied.expect("works"), Applied::Yes(digest));
    let query = FactQuery {
        selection: Selection {
            allow: vec![Filter {
                modes: vec![Mode::Emulated],
                ..Filter::default()
            }],
            ..Selection::default()
        },
        running: true,
        history: false,
        alive_since: at(0),
        after: None,
        limit: 9,
    };
    let facts = store.facts(query).await.expect("works");
    let counts: Vec<_> = facts.iter().map(|(_, fact)| fact.fact.count).collect();
    assert_eq!(counts, [8], "the same fact, not another one");
}

#[tokio::test]
async fn a_file_of_schema_3_is_taken_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    write_schema_3(&path);
    let store = SqliteStore::open(&path).expect("opens");
    let of_pod = || Selection {
        allow: vec![Filter {
            nodes: vec!["m".to_owned()],
            workloads: vec!["Deployment/*".to_owned()],
            containers: vec!["api".to_owned()],
            ..Filter::default()
        }],
        ..Selection::default()
    };
    let events = EventQuery {
        selection: of_pod(),
        kinds: Vec::new(),
        ascending: false,
        after: None,
        limit: 9,
    };
    let events = store.events(events).await.expect("works");
    let known: Vec<_> = events
        .iter()
        .map(|(_, event)| (event.sequence, &event.identity))
        .collect();
    assert_eq!(known, [(9, &pod())]);
    let facts = async |selection, history| {
        let query = FactQuery {
            selection,
            running: false,
            history,
            alive_since: at(0),
            after: None,
            limit: 9,
        };
        let facts = store.facts(query).await.expect("works").into_iter();
        let facts = facts.filter(|(_, fact)| fact.node == "m");
        let facts =
            facts.map(|(_, f)| (f.fact.key.binary, f.fact.count, f.fact.processes, f.ended));
        facts.collect::<Vec<_>>()
    };
    let emulated = |count, processes| ("/emulated".to_owned(), count, processes, false);
    let ended = ("/native".to_owned(), 3, 0, true);
    assert_eq!(facts(of_pod(), false).await, [emulated(12, 1)]);
    let all = facts(Selection::default(), true).await;
    assert_eq!(all, [ended, emulated(12, 1)]);
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!(
        (totals.facts, totals.emulated_facts, totals.failed_facts),
        (5, 2, 1)
    );
    assert_eq!((totals.events, totals.unexplained_gap), (3, 9));
    let losses: Vec<_> = totals
        .losses
        .iter()
        .map(|loss| (loss.stage.as_str(), loss.count))
        .collect();
    assert_eq!(losses, [("agent_down", 0), ("ring_buffer", 9)]);
    // Counters go on where they were, in the last epoch and in the one before.
    for (epoch, count, sum) in [(2, 6, 13), (1, 9, 15)] {
        let attached = store
            .attach(hello("m", epoch), at(300))
            .await
            .expect("works");
        let snapshot = Snapshot {
            epoch,
            revision: 7,
            facts: vec![in_pod(count)],
            digest: Some(Digest::of_fact(&in_pod(count))),
            ..Snapshot::default()
        };
        let applied = store
            .apply_snapshot(attached.lease, snapshot, at(301))
            .await;
        assert!(matches!(applied, Ok(Applied::Yes(_))));
        assert_eq!(facts(of_pod(), false).await, [emulated(sum, 1)]);
    }
    // And so does the stream.
    let attached = store.attach(hello("m", 2), at(302)).await.expect("works");
    assert_eq!(attached.next_sequence, 10);
}
