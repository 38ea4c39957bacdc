//! Two collectors, and an agent that moves between them.

use archtrace_collector::store::{Applied, Delta, Snapshot, Store};

use super::super::support::{at, batch, event, fact, hello};
use super::{attach, counts, done, head, snapshot};

pub(crate) async fn who_attached_last_may_change([a, b]: &[impl Store; 2]) {
    let first = attach(a, "n", 1).await;
    snapshot(a, first, 1, vec![fact("/a", 1)]).await;
    let attached = b.attach(hello("n", 1), at(102)).await.expect("works");
    let second = attached.lease;
    assert_eq!(second.node, first.node);
    assert!(second.session > first.session);
    assert_eq!(attached.held.map(|(revision, _)| revision), Some(1));
    let before = head(b, "n").await;
    let late = Snapshot {
        epoch: 1,
        revision: 7,
        facts: vec![fact("/late", 1)],
        ..Snapshot::default()
    };
    let applied = a.apply_snapshot(first, late, at(103)).await.expect("works");
    assert_eq!(applied, Applied::Superseded);
    let delta = |revision, count| Delta {
        epoch: 1,
        base_revision: revision,
        revision: revision + 1,
        upserts: vec![fact("/a", count)],
        ..Delta::default()
    };
    let applied = a.apply_delta(first, delta(1, 9), at(104)).await;
    assert_eq!(applied.expect("works"), Applied::Superseded);
    assert_eq!(head(b, "n").await.version, before.version);
    // Whoever has the lease goes on where the other was.
    done(b.apply_delta(second, delta(1, 2), at(105)).await);
    assert_eq!(counts(a).await, [("/a".to_owned(), 2, 1)]);
    // Events have one place only, whoever brings them.
    for (store, next) in [(a, 1), (b, 1), (a, 1)] {
        let events = batch(0, vec![event("/a", 1)]);
        let stored = store.append_events(first.node, events, at(106)).await;
        assert_eq!(stored.expect("works"), next);
    }
    // And back again.
    let third = a.attach(hello("n", 1), at(107)).await.expect("works");
    let applied = b.apply_delta(second, delta(2, 3), at(108)).await;
    assert_eq!(applied.expect("works"), Applied::Superseded);
    done(a.apply_delta(third.lease, delta(2, 3), at(109)).await);
    // With the lease, but of an epoch that is not the node's.
    let other = Delta {
        epoch: 2,
        ..delta(3, 4)
    };
    let applied = a.apply_delta(third.lease, other, at(110)).await;
    assert_eq!(applied.expect("works"), Applied::OtherEpoch);
    assert_eq!(counts(b).await, [("/a".to_owned(), 3, 1)]);
}
