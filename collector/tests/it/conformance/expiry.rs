//! What was kept long enough goes, and nothing else.

use archtrace_collector::store::{Delta, Store};
use archtrace_facts::identity::of_cgroup;
use archtrace_facts::image::Image;
use archtrace_facts::report::EventBatch;
use archtrace_query::read::{ImageQuery, Version};

use super::super::support::{at, batch, event, fact, hello, loss};
use super::{all, any, attach, beat, counts, events, expire, facts, gap, head, nodes};
use super::{owner, running, snapshot, tell};

pub(crate) async fn events_are_deleted_in_time(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let records = vec![
        event("/a", 9),
        event("/b", 10),
        event("/c", 11),
        loss("spool", 3),
    ];
    let append = async |batch| {
        let appended = store.append_events(node.node, batch, at(12)).await;
        appended.expect("works")
    };
    append(batch(5, records)).await;
    expire(store, 100, 100, 100).await;
    let known = events(store, any()).await;
    let known: Vec<_> = known.iter().map(|event| event.sequence).collect();
    assert_eq!(known, [7, 6, 5, 8], "nothing is that old");
    expire(store, 100, 100, 110).await;
    let known = events(store, any()).await;
    let known: Vec<_> = known.iter().map(|event| event.sequence).collect();
    assert_eq!(known, [7, 6], "older than second 10 is old");
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!((totals.events, totals.unexplained_gap), (2, 5));
    let losses = &nodes(store).await[0].losses;
    assert_eq!(
        (losses[0].stage.as_str(), losses[0].count),
        ("spool", 3),
        "over all time"
    );
    assert_eq!(totals.losses, *losses);
    // The stream goes on where it was, even if nothing is left of it.
    expire(store, 100, 10_000, 10_000).await;
    assert_eq!(events(store, any()).await, []);
    assert_eq!(append(batch(9, vec![event("/d", 10_000)])).await, 10);
    assert_eq!(gap(store).await, 5);
}

pub(crate) async fn history_is_deleted_in_time(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let told = vec![fact("/a", 9), fact("/b", 10), fact("/c", 5)];
    snapshot(store, node, 1, told).await;
    snapshot(store, node, 1, vec![fact("/c", 5)]).await;
    expire(store, 1, 100, 110).await;
    let [b, c] = [("/b".to_owned(), 10, 0), ("/c".to_owned(), 5, 1)];
    assert_eq!(
        counts(store).await,
        [c.clone(), b],
        "what is kept is never old"
    );
    let status = &nodes(store).await[0];
    assert_eq!(
        (status.facts, status.emulated_facts, status.failed_facts),
        (2, 2, 0)
    );
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!((totals.facts, totals.emulated_facts), (2, 2));
    // Seen again, it is a new one.
    snapshot(store, node, 1, vec![fact("/a", 1), fact("/c", 5)]).await;
    expire(store, 1, 100, 200).await;
    assert_eq!(counts(store).await, [("/a".to_owned(), 1, 1), c]);
}

pub(crate) async fn silent_nodes_keep_nothing(store: &impl Store) {
    let silent = attach(store, "n", 1).await;
    let other = attach(store, "m", 1).await;
    snapshot(store, silent, 1, vec![fact("/a", 1)]).await;
    snapshot(store, other, 1, vec![fact("/b", 1)]).await;
    store
        .heartbeats(vec![beat(other, 1, 1, 900)])
        .await
        .expect("works");
    let before = head(store, "n").await;
    expire(store, 500, 799, 900).await;
    assert_eq!(running(store).await, ["/b", "/a"]);
    expire(store, 500, 798, 900).await;
    assert_eq!(counts(store).await, [("/b".to_owned(), 1, 1)]);
    assert!(head(store, "n").await.version > before.version);
    assert_eq!(
        store
            .facts_since(vec![(silent.node, Version(0))])
            .await
            .expect("works"),
        []
    );
    // It was there after all.
    let again = store.attach(hello("n", 1), at(901)).await.expect("works");
    assert_eq!(again.held, None);
    let late = Delta {
        epoch: 1,
        base_revision: 1,
        ..Delta::default()
    };
    let applied = store.apply_delta(again.lease, late, at(902)).await;
    assert!(!matches!(
        applied,
        Ok(archtrace_collector::store::Applied::Yes(_))
    ));
    snapshot(store, again.lease, 1, vec![fact("/a", 2)]).await;
    assert_eq!(running(store).await, ["/a", "/b"]);
}

pub(crate) async fn what_nobody_needs_goes_along(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let cgroup = fact("/a", 1).key.cgroup;
    let mut pod = owner(&cgroup, "pay", "api");
    pod.identity.image_id = "sha256:1".to_owned();
    let image = |id: &str| Image {
        id: id.to_owned(),
        names: vec!["x:1".to_owned()],
        arch: None,
        os: String::new(),
        variant: String::new(),
        audit: None,
    };
    let images = async || {
        let query = ImageQuery {
            limit: 9,
            ..ImageQuery::default()
        };
        let images = store.images(query).await.expect("works");
        images
            .into_iter()
            .map(|(_, image)| image.image.id)
            .collect::<Vec<_>>()
    };
    snapshot(store, node, 1, vec![fact("/a", 1)]).await;
    let told = vec![image("sha256:1"), image("sha256:2")];
    tell(store, node, 1, vec![pod], told).await;
    let name = async || facts(store, all()).await[0].identity.clone();
    store
        .heartbeats(vec![beat(node, 1, 2, 5000)])
        .await
        .expect("works");
    expire(store, 100, 100, 1000).await;
    assert_eq!(name().await.pod, "api", "a fact is there that needs it");
    assert_eq!(
        images().await,
        ["sha256:1"],
        "a container is there that needs it"
    );
    let late = EventBatch {
        stream_id: 3,
        first_sequence: 10,
        records: vec![event("/a", 1990)],
    };
    store
        .append_events(node.node, late, at(1990))
        .await
        .expect("works");
    snapshot(store, node, 1, Vec::new()).await;
    expire(store, 100, 100, 2000).await;
    assert_eq!(facts(store, all()).await, []);
    assert_eq!(
        events(store, any()).await[0].identity.pod,
        "api",
        "an event needs it"
    );
    expire(store, 100, 100, 4000).await;
    assert_eq!(images().await, Vec::<String>::new());
    snapshot(store, node, 1, vec![fact("/a", 1)]).await;
    assert_eq!(name().await, of_cgroup(&cgroup), "nobody knows any more");
    // A stream that is over is not known any more either.
    let mut next = hello("n", 2);
    next.event_stream_id = 4;
    store.attach(next.clone(), at(5000)).await.expect("works");
    expire(store, 100, 100, 9000).await;
    (next.event_stream_id, next.oldest_sequence) = (3, 77);
    let attached = store.attach(next, at(9001)).await.expect("works");
    assert_eq!(attached.next_sequence, 77);
}
