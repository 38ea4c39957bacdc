use archtrace_export::Positions;
use archtrace_facts::arch::Arch;
use archtrace_facts::fleet::ExpectedNode;
use archtrace_facts::node::{NodeInfo, Preflight};
use archtrace_facts::report::Hello;
use archtrace_query::Read as _;

use super::*;
use crate::store::sqlite::SqliteStore;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn silence_counts_after_a_while_of_listening() {
    let mut listening = Listening::default();
    let begun = listening.looked;
    assert!(!listening.is_long_enough(begun));
    let mut passed = Duration::ZERO;
    let mut look = async |listening: &mut Listening, steps: u32, step: Duration| {
        let mut is_long_enough = false;
        for _ in 0..steps {
            tokio::time::advance(EVERY).await;
            passed += step;
            is_long_enough = listening.is_long_enough(begun + passed);
        }
        is_long_enough
    };
    assert!(
        !look(&mut listening, 2, EVERY).await,
        "agents may still be on their way"
    );
    assert!(look(&mut listening, 1, EVERY).await);
    let day = Duration::from_secs(86_400);
    assert!(!look(&mut listening, 1, day).await, "the machine slept");
    assert!(!look(&mut listening, 2, EVERY).await);
    assert!(look(&mut listening, 1, EVERY).await);
}

async fn heard(store: &SqliteStore, name: &str, heard: SystemTime) -> NodeId {
    let hello = Hello {
        cluster: "c".to_owned(),
        node: NodeInfo {
            page_size: 4096,
            ..NodeInfo::named(name.to_owned(), Arch::Arm64)
        },
        epoch: 1,
        attached_at: heard,
        event_stream_id: 1,
        oldest_sequence: 0,
        next_sequence: 0,
        preflight: Preflight::default(),
        held: None,
        earlier_streams: Vec::new(),
    };
    let attached = store.attach(hello, heard).await.expect("works");
    attached.lease.node
}

#[tokio::test]
async fn who_is_silent_and_expected_by_nobody_is_forgotten() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(&dir.path().join("store.db")).expect("opens");
    for (name, second) in [("gone", 9), ("listed", 9), ("there", 10)] {
        heard(&store, name, at(second)).await;
    }
    let names = async || {
        let heads = store.heads().await.expect("works");
        let names = heads.into_iter().map(|head| head.name);
        names.collect::<Vec<_>>()
    };
    let listed = ExpectedNodes {
        source: "file".to_owned(),
        nodes: Some(
            [ExpectedNode {
                cluster: None,
                name: "listed".to_owned(),
            }]
            .into(),
        ),
        ..ExpectedNodes::default()
    };
    let forgotten = async |expected: &ExpectedNodes| {
        let forgotten = forget(&store, expected, &[], at(10)).await;
        forgotten.expect("works")
    };
    let unread = ExpectedNodes {
        source: "seen (not read yet)".to_owned(),
        ..ExpectedNodes::default()
    };
    assert_eq!(forgotten(&unread).await, 0);
    assert_eq!(forgotten(&listed).await, 1);
    assert_eq!(names().await, ["listed", "there"]);
    assert_eq!(forgotten(&ExpectedNodes::seen()).await, 1);
    assert_eq!(names().await, ["there"]);
}

#[tokio::test]
async fn exports_come_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(&dir.path().join("store.db")).expect("opens");
    let node = heard(&store, "n", at(1)).await;
    let loss = archtrace_facts::report::Record::Loss(archtrace_facts::report::ReportedLoss {
        stage: "spool".to_owned(),
        count: 1,
        since: at(1),
        until: at(1),
        range: None,
    });
    let batch = archtrace_facts::report::EventBatch {
        stream_id: 1,
        first_sequence: 0,
        records: vec![loss],
    };
    store
        .append_events(node, batch, at(2))
        .await
        .expect("works");
    let path = dir.path().join("position");
    std::fs::write(&path, "archtrace-export 1 test\n").expect("writes");
    let behind = Progress::new("test", &Positions::open(&path, "test").expect("opens"));
    let seen = ExpectedNodes::seen();
    let exports = [Arc::new(behind)];
    let forgotten = forget(&store, &seen, &exports, at(10)).await;
    assert_eq!(
        forgotten.expect("works"),
        0,
        "it has not passed the loss on"
    );
    let forgotten = forget(&store, &seen, &[], at(10)).await;
    assert_eq!(forgotten.expect("works"), 1);
}
