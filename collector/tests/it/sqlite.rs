//! SQLite does what every store has to do, and keeps it.

use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_collector::store::{Snapshot, Store as _};
use archtrace_query::Read as _;

use super::conformance::conforms;
use super::query::fleet::answers;
use super::replicas;
use super::support::{at, fact, hello};

conforms! { open }
answers! { open }

#[tokio::test]
async fn a_file_is_opened_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let store = SqliteStore::open(&path).expect("opens");
    let node = store
        .attach(hello("n", 1), at(1))
        .await
        .expect("works")
        .lease;
    let snapshot = Snapshot {
        epoch: 1,
        revision: 4,
        facts: vec![fact("/a", 2)],
        ..Snapshot::default()
    };
    store
        .apply_snapshot(node, snapshot, at(2))
        .await
        .expect("works");
    drop(store);
    let store = SqliteStore::open(&path).expect("opens");
    let attached = store.attach(hello("n", 1), at(3)).await.expect("works");
    let revision = attached.held.map(|(revision, _)| revision);
    assert_eq!((attached.lease.node, revision), (node.node, Some(4)));
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!((totals.facts, totals.emulated_facts), (1, 1));
}

async fn open() -> Option<([SqliteStore; 2], tempfile::TempDir)> {
    let dir = tempfile::tempdir().expect("a directory");
    let store = || SqliteStore::open(&dir.path().join("store.db")).expect("opens");
    Some(([store(), store()], dir))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collectors_tell_the_same_since_when() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = || SqliteStore::open(&dir.path().join("store.db")).expect("opens");
    replicas::tell_the_same_since_when([store(), store(), store()]).await;
}
