//! Nodes that are gone for good are none to whoever asks; what happened on them stays for its time.

use archtrace_collector::store::{Applied, Delta, Snapshot, Store};
use archtrace_facts::image::Image;
use archtrace_facts::report::EventBatch;
use archtrace_query::read::{Head, ImageQuery, Version};

use super::super::support::{STREAM, at, batch, event, fact, hello, loss};
use super::{
    all, any, attach, beat, counts, done, events, expire, facts, gap, head, losses, nodes,
};
use super::{owner, running, snapshot, tell};

async fn heads(store: &impl Store) -> Vec<Head> {
    store.heads().await.expect("works")
}

async fn images(store: &impl Store) -> Vec<String> {
    let query = ImageQuery {
        nodes: Vec::new(),
        names: Vec::new(),
        after: None,
        limit: 9,
    };
    let images = store.images(query).await.expect("works");
    images
        .into_iter()
        .map(|(_, image)| image.image.id)
        .collect()
}

fn image(id: &str) -> Image {
    Image {
        id: id.to_owned(),
        ..Image::default()
    }
}

pub(crate) async fn a_forgotten_node_is_none_any_more(store: &impl Store) {
    let gone = attach(store, "gone", 1).await;
    let other = attach(store, "other", 1).await;
    for (node, images) in [
        (gone, ["sha256:a", "sha256:b"]),
        (other, ["sha256:b", "sha256:c"]),
    ] {
        snapshot(store, node, 1, vec![fact("/a", 1)]).await;
        let images = images.map(image).to_vec();
        tell(store, node, 1, vec![owner("/a.slice", "ns", "pod")], images).await;
        let records = vec![event("/a", 9), loss("spool", 3)];
        store
            .append_events(node.node, batch(0, records), at(10))
            .await
            .expect("works");
        store
            .append_events(node.node, batch(7, vec![event("/a", 11)]), at(12))
            .await
            .expect("works");
        store
            .heartbeats(vec![beat(node, 1, 2, 200)])
            .await
            .expect("works");
    }
    store
        .heartbeats(vec![beat(other, 1, 2, 300)])
        .await
        .expect("works");
    let before = store.totals(at(0)).await.expect("works");
    let both = || vec![gone.node, other.node];
    assert_eq!(
        store.forget(both(), at(200)).await.expect("works"),
        0,
        "it was heard then"
    );
    assert_eq!(heads(store).await.len(), 2);
    assert_eq!(store.forget(both(), at(201)).await.expect("works"), 1);
    assert_eq!(
        store.forget(both(), at(201)).await.expect("works"),
        0,
        "it is forgotten"
    );

    let names: Vec<_> = heads(store)
        .await
        .into_iter()
        .map(|head| head.name)
        .collect();
    assert_eq!(names, ["other"]);
    let known: Vec<_> = nodes(store)
        .await
        .into_iter()
        .map(|node| node.info.name)
        .collect();
    assert_eq!(known, ["other"]);
    assert_eq!(
        images(store).await,
        ["sha256:c", "sha256:b"],
        "which the other has"
    );
    assert_eq!(running(store).await, ["/a"], "of the other");
    let stored = facts(store, all()).await;
    let ended: Vec<_> = stored
        .iter()
        .map(|fact| (fact.node.as_str(), fact.ended))
        .collect();
    assert_eq!(ended, [("other", false), ("gone", true)], "it is history");
    assert_eq!(events(store, any()).await.len(), 6);
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!((totals.nodes_reporting, totals.nodes_stale), (1, 0));
    assert_eq!((totals.facts, totals.events), (before.facts, before.events));
    assert_eq!(
        (totals.unexplained_gap, &totals.losses),
        (10, &before.losses)
    );

    // What it kept goes in its time, and it goes with the last of that.
    let day = 24 * 3600;
    expire(store, 10 * day, 20 * day, 11 * day).await;
    assert_eq!(facts(store, all()).await.len(), 2);
    store
        .heartbeats(vec![beat(other, 1, 2, 99 * day)])
        .await
        .expect("works");
    expire(store, 10 * day, 20 * day, 99 * day).await;
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!((totals.facts, totals.events), (1, 0));
    assert_eq!(
        (totals.unexplained_gap, &totals.losses),
        (10, &before.losses),
        "over all time"
    );
    let anew = attach(store, "gone", 1).await;
    assert_ne!(anew.node, gone.node, "nothing was left");
    assert_eq!(head(store, "gone").await.began, Version(0));
    assert_eq!(losses(store).await, []);
    // Whoever thinks that it is still there is told to come again.
    let delta = Delta {
        epoch: 1,
        base_revision: 2,
        revision: 3,
        ..Delta::default()
    };
    store
        .apply_delta(gone, delta, at(0))
        .await
        .expect_err("there is no such node");
    let late = batch(9, vec![event("/a", 9)]);
    store
        .append_events(gone.node, late, at(0))
        .await
        .expect_err("there is no such node");
    store
        .heartbeats(vec![beat(gone, 1, 2, 99 * day)])
        .await
        .expect("works");
}

pub(crate) async fn a_forgotten_node_comes_back_as_a_new_one(stores: &[impl Store; 2]) {
    let [a, b] = stores;
    let node = attach(a, "n", 1).await;
    snapshot(a, node, 1, vec![fact("/a", 5)]).await;
    let told = || EventBatch {
        stream_id: STREAM,
        first_sequence: 0,
        records: vec![event("/a", 1), event("/b", 2)],
    };
    a.append_events(node.node, told(), at(103))
        .await
        .expect("works");
    assert_eq!(b.forget(vec![node.node], at(1000)).await.expect("works"), 1);
    // Its agent was there all the time: what it goes on to tell is not taken, and it comes again.
    let delta = Delta {
        epoch: 1,
        base_revision: 1,
        revision: 2,
        upserts: vec![fact("/a", 6)],
        ..Delta::default()
    };
    let applied = a.apply_delta(node, delta, at(1001)).await.expect("works");
    assert_eq!(applied, Applied::Superseded);
    let attached = a.attach(hello("n", 1), at(1002)).await.expect("works");
    assert_eq!((attached.held, attached.next_sequence), (None, 2));
    let snapshot = Snapshot {
        epoch: 1,
        revision: 2,
        facts: vec![fact("/a", 6)],
        ..Snapshot::default()
    };
    done(a.apply_snapshot(attached.lease, snapshot, at(1003)).await);
    assert_eq!(counts(a).await, [("/a".to_owned(), 6, 1)], "it counts on");
    assert_eq!(running(b).await, ["/a"]);

    // A new run of it, which has the same events still: the answer to them was lost.
    assert_eq!(
        b.forget(vec![attached.lease.node], at(2000))
            .await
            .expect("works"),
        1
    );
    let attached = a.attach(hello("n", 2), at(2001)).await.expect("works");
    assert_eq!((attached.held, attached.next_sequence), (None, 2));
    assert_eq!(losses(a).await, [], "nobody missed it");
    let anew = head(b, "n").await;
    assert_eq!(anew.node, node.node, "its records have their place");
    let since = async || {
        let since = b
            .events_since(vec![(anew.node, anew.began)])
            .await
            .expect("works");
        since
            .into_iter()
            .map(|(_, _, event)| event.sequence)
            .collect::<Vec<_>>()
    };
    let append = async |batch| {
        a.append_events(anew.node, batch, at(2002))
            .await
            .expect("works")
    };
    assert_eq!(append(told()).await, 2);
    assert_eq!(since().await, Vec::<u64>::new(), "they are stored");
    assert_eq!(append(batch(2, vec![event("/c", 3)])).await, 3);
    assert_eq!((since().await, events(b, any()).await.len()), (vec![2], 3));
    assert_eq!(gap(b).await, 0);
}
