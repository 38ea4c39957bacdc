//! Counts, snapshots, deltas, history.

use archtrace_collector::store::{Applied, Delta, Snapshot, Store};
use archtrace_facts::fleet::Totals;
use archtrace_query::read::{FactQuery, NodeQuery};

use super::super::support::{at, batch, fact, hello, loss};
use super::{all, attach, counts, done, facts, running, snapshot};

pub(crate) async fn counts_are_summed_over_epochs(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    for count in [5, 7, 7] {
        snapshot(store, node, 1, vec![fact("/a", count)]).await;
        assert_eq!(
            counts(store).await,
            [("/a".to_owned(), count, 1)],
            "replaced within an epoch"
        );
    }
    let node = attach(store, "n", 2).await;
    assert_eq!(
        counts(store).await,
        [("/a".to_owned(), 7, 0)],
        "nothing of epoch 2 is known yet"
    );
    snapshot(store, node, 2, vec![fact("/a", 3)]).await;
    snapshot(store, node, 2, vec![fact("/a", 4)]).await;
    assert_eq!(counts(store).await, [("/a".to_owned(), 11, 1)]);
    // The first one comes back, with what it has.
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, vec![fact("/a", 8)]).await;
    assert_eq!(counts(store).await, [("/a".to_owned(), 12, 1)]);
    let facts = facts(store, FactQuery { limit: 10, ..all() }).await;
    assert_eq!(facts[0].fact.cpu_ns, 12_000);
    assert_eq!(
        (facts[0].fact.first_seen, facts[0].fact.last_seen),
        (at(0), at(8))
    );
}

pub(crate) async fn what_a_snapshot_leaves_out_stays_as_history(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, vec![fact("/a", 1), fact("/b", 2)]).await;
    snapshot(store, node, 1, vec![fact("/b", 2)]).await;
    let a = ("/a".to_owned(), 1, 0);
    assert_eq!(counts(store).await, [("/b".to_owned(), 2, 1), a.clone()]);
    assert_eq!(running(store).await, ["/b"]);
    // Another node's snapshot is its own affair.
    let other = attach(store, "m", 9).await;
    snapshot(store, other, 9, Vec::new()).await;
    assert_eq!(running(store).await, ["/b"]);
    snapshot(store, node, 1, Vec::new()).await;
    assert_eq!(counts(store).await, [("/b".to_owned(), 2, 0), a]);
}

pub(crate) async fn a_dropped_fact_counts_from_zero_again(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, vec![fact("/a", 10)]).await;
    let removed = vec![fact("/a", 0).key.id(), fact("/never", 0).key.id()];
    let drop = Delta {
        epoch: 1,
        base_revision: 1,
        revision: 2,
        // Its last numbers come along.
        upserts: vec![fact("/a", 11)],
        removed,
        ..Delta::default()
    };
    done(store.apply_delta(node, drop, at(3)).await);
    assert_eq!(counts(store).await, [("/a".to_owned(), 11, 0)]);
    let again = Delta {
        epoch: 1,
        base_revision: 2,
        revision: 3,
        upserts: vec![fact("/a", 2)],
        ..Delta::default()
    };
    done(store.apply_delta(node, again, at(4)).await);
    snapshot(store, node, 1, vec![fact("/a", 3)]).await;
    assert_eq!(counts(store).await, [("/a".to_owned(), 14, 1)]);
}

pub(crate) async fn deltas_apply_to_their_revision_only(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let delta = |epoch, base_revision| Delta {
        epoch,
        base_revision,
        revision: base_revision + 1,
        upserts: vec![fact("/a", 5)],
        ..Delta::default()
    };
    let apply = async |delta| store.apply_delta(node, delta, at(1)).await.expect("works");
    assert_eq!(
        apply(delta(1, 0)).await,
        Applied::OtherRevision(None),
        "no snapshot yet"
    );
    snapshot(store, node, 1, Vec::new()).await;
    assert_eq!(apply(delta(1, 7)).await, Applied::OtherRevision(Some(1)));
    assert_eq!(apply(delta(2, 1)).await, Applied::OtherEpoch);
    assert_eq!(counts(store).await, [], "nothing was applied so far");
    assert!(matches!(apply(delta(1, 1)).await, Applied::Yes(_)));
    assert_eq!(
        apply(delta(1, 1)).await,
        Applied::OtherRevision(Some(2)),
        "not twice"
    );
    let again = store.attach(hello("n", 1), at(2)).await.expect("works");
    assert_eq!(
        again.held.map(|(revision, _)| revision),
        Some(2),
        "the same epoch goes on where it was"
    );
    let node = again.lease;
    attach(store, "n", 2).await;
    let late = Snapshot {
        epoch: 1,
        revision: 3,
        ..Snapshot::default()
    };
    let late = store
        .apply_snapshot(node, late, at(3))
        .await
        .expect("works");
    assert_eq!(late, Applied::Superseded);
    let back = store.attach(hello("n", 1), at(4)).await.expect("works");
    assert_eq!(back.held, None, "others changed what is live");
}

pub(crate) async fn hostile_numbers_break_nothing(store: &impl Store) {
    let mut first_sequence = i64::MAX.unsigned_abs() - 20;
    for epoch in [u64::MAX, u64::MAX - 1, 1] {
        let mut hello = hello("n", 1);
        hello.epoch = epoch;
        let node = store.attach(hello, at(1)).await.expect("works").lease;
        let mut fact = fact("/a", u64::MAX);
        fact.processes = u64::MAX;
        let huge = Snapshot {
            epoch,
            revision: u64::MAX,
            facts: vec![fact],
            ..Snapshot::default()
        };
        done(store.apply_snapshot(node, huge, at(2)).await);
        let losses = vec![loss("fact_table", u64::MAX), loss("fact_table", u64::MAX)];
        first_sequence += 3;
        store
            .append_events(node.node, batch(first_sequence, losses), at(3))
            .await
            .expect("works");
    }
    let known = facts(store, all()).await;
    assert_eq!(known[0].fact.count, i64::MAX.unsigned_abs());
    let query = NodeQuery {
        names: Vec::new(),
        alive_since: at(0),
        after: None,
        limit: 10,
    };
    assert_eq!(store.nodes(query).await.expect("works").len(), 1);
    let Totals {
        losses,
        unexplained_gap,
        ..
    } = store.totals(at(0)).await.expect("works");
    assert_eq!(
        (losses[0].stage.as_str(), losses[0].records),
        ("agent_down", 2)
    );
    assert_eq!(
        (losses[1].stage.as_str(), losses[1].records),
        ("fact_table", 6)
    );
    assert!(
        losses[1].count >= i64::MAX.unsigned_abs(),
        "{}",
        losses[1].count
    );
    // One between each two, and all before the first; sums this large are not exact.
    assert!(
        unexplained_gap.abs_diff(first_sequence - 4) < 4096,
        "{unexplained_gap}"
    );
}

pub(crate) async fn an_epoch_that_comes_back_goes_on(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    snapshot(store, node, 1, vec![fact("/a", 5), fact("/b", 3)]).await;
    let node = attach(store, "n", 2).await;
    snapshot(store, node, 2, vec![fact("/a", 1)]).await;
    let node = attach(store, "n", 1).await;
    assert_eq!(running(store).await, Vec::<String>::new());
    // What it does not keep any more, it would count from zero.
    snapshot(store, node, 1, Vec::new()).await;
    snapshot(store, node, 1, vec![fact("/a", 2), fact("/b", 1)]).await;
    assert_eq!(
        counts(store).await,
        [("/b".to_owned(), 4, 1), ("/a".to_owned(), 8, 1)]
    );
}
