//! SQLite does what every store has to do, and keeps it.

use archtrace_collector::store::sqlite::SqliteStore;
use archtrace_collector::store::{Snapshot, Store as _};

use super::conformance::conforms;
use super::support::{at, fact, hello};

conforms! { open:
    counts_are_summed_over_epochs,
    what_a_snapshot_leaves_out_stays_as_history,
    a_dropped_fact_counts_from_zero_again,
    deltas_apply_to_their_revision_only,
    a_new_epoch_tells_the_gap_once,
    events_are_stored_once_and_gaps_are_counted,
    streams_begin_where_the_agent_can,
    a_silent_node_is_not_current,
    conditions_hold_together,
    pages_neither_skip_nor_repeat,
    hostile_numbers_break_nothing,
    nodes_do_not_disturb_each_other,
    every_field_of_a_fact_comes_back,
    every_field_of_an_event_comes_back,
    every_field_of_a_node_comes_back,
    images_are_stored_once,
    names_may_come_later,
    changes_of_handlers_stand_among_events,
}

#[tokio::test]
async fn a_file_is_opened_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let store = SqliteStore::open(&path).expect("opens");
    let node = store
        .attach(hello("n", 1), at(1))
        .await
        .expect("works")
        .node;
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
    assert_eq!((attached.node, attached.revision), (node, Some(4)));
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!((totals.facts, totals.emulated_facts), (1, 1));
}

fn open() -> (SqliteStore, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    (
        SqliteStore::open(&dir.path().join("store.db")).expect("opens"),
        dir,
    )
}
