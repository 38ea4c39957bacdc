//! Whoever follows changes misses none, at whichever collector they are made and read.

use archtrace_collector::store::{Delta, Lease, Snapshot, Store};
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Fact, Mode};
use archtrace_facts::report::{EventBatch, Record};
use archtrace_query::read::{EventPlace, NodeId, Version};

use super::super::support::{at, batch, event, fact, hello, key, loss};
use super::{attach, beat, done, head, owner, snapshot, tell};

/// Changes of facts after a version: version, binary, count, processes, whether it ended.
async fn changed(
    store: &impl Store,
    node: NodeId,
    since: Version,
) -> Vec<(i64, String, u64, u64, bool)> {
    let changes = store.facts_since(vec![(node, since)]).await.expect("works");
    let changes = changes.into_iter().map(|change| {
        let fact = change.fact.fact;
        assert_eq!((change.node, change.id), (node, fact.key.id()));
        assert!(change.fact.current, "that is not decided here");
        let ended = change.fact.ended;
        let Fact {
            key,
            count,
            processes,
            ..
        } = fact;
        (change.version.0, key.binary, count, processes, ended)
    });
    changes.collect()
}

async fn apply(store: &impl Store, node: Lease, base: u64, upserts: Vec<Fact>, removed: &[&Fact]) {
    let delta = Delta {
        epoch: 1,
        base_revision: base,
        revision: base + 1,
        upserts,
        removed: removed.iter().map(|fact| fact.key.id()).collect(),
        ..Delta::default()
    };
    done(store.apply_delta(node, delta, at(9)).await);
}

pub(crate) async fn changes_are_found_by_version([a, b]: &[impl Store; 2]) {
    assert_eq!(b.heads().await.expect("works"), []);
    let node = attach(a, "n", 1).await;
    attach(b, "m", 1).await;
    let heads = b.heads().await.expect("works");
    let told: Vec<_> = heads
        .iter()
        .map(|head| {
            (
                head.cluster.as_str(),
                head.name.as_str(),
                head.arch,
                head.last_heard,
            )
        })
        .collect();
    let [n, m] = ["n", "m"].map(|name| ("test", name, Arch::Amd64, at(100)));
    assert_eq!(told, [n, m]);
    let begin = head(b, "n").await.version;
    assert_eq!(changed(b, node.node, begin).await, []);
    snapshot(a, node, 1, vec![fact("/a", 1), fact("/b", 2)]).await;
    let first = head(b, "n").await.version;
    assert!(first > begin);
    let row = |version: Version, name: &str, count, processes, ended| {
        (version.0, name.to_owned(), count, processes, ended)
    };
    let both = [row(first, "/a", 1, 1, false), row(first, "/b", 2, 1, false)];
    assert_eq!(changed(b, node.node, begin).await, both);
    assert_eq!(changed(b, node.node, Version(0)).await, both);
    assert_eq!(changed(b, node.node, first).await, []);
    apply(a, node, 1, vec![fact("/b", 3)], &[]).await;
    let second = head(b, "n").await.version;
    assert_eq!(second, Version(first.0 + 1), "one for each commit");
    assert_eq!(
        changed(b, node.node, first).await,
        [row(second, "/b", 3, 1, false)]
    );
    apply(a, node, 2, vec![fact("/c", 1)], &[&fact("/a", 1)]).await;
    let third = head(b, "n").await.version;
    let mut after = changed(b, node.node, second).await;
    after.sort();
    let c = row(third, "/c", 1, 1, false);
    assert_eq!(after, [row(third, "/a", 1, 0, true), c.clone()]);
    let all = [row(second, "/b", 3, 1, false), c];
    assert_eq!(
        changed(b, node.node, Version(0)).await,
        all,
        "without history"
    );
    // What a snapshot leaves out ends, and so does all when another epoch comes.
    snapshot(b, node, 1, vec![fact("/c", 1)]).await;
    let fourth = head(a, "n").await.version;
    assert_eq!(
        changed(a, node.node, third).await,
        [row(fourth, "/b", 3, 0, true)]
    );
    let node = attach(a, "n", 2).await;
    let fifth = head(a, "n").await.version;
    assert_eq!(
        changed(a, node.node, fourth).await,
        [row(fifth, "/c", 1, 0, true)]
    );
    assert_eq!(changed(a, node.node, Version(0)).await, []);
    let gap = b
        .events_since(vec![(node.node, fourth)])
        .await
        .expect("works");
    assert_eq!(
        (gap.len(), gap[0].1, gap[0].2.record.kind()),
        (1, fifth, "loss")
    );
    snapshot(a, node, 2, vec![fact("/c", 4)]).await;
    let sixth = head(a, "n").await.version;
    assert_eq!(
        changed(a, node.node, fifth).await,
        [row(sixth, "/c", 5, 1, false)]
    );
    // Events: once, however often they are sent.
    for _ in 0..2 {
        let told = batch(0, vec![event("/a", 3), event("/b", 1)]);
        a.append_events(node.node, told, at(3))
            .await
            .expect("works");
    }
    let seventh = head(b, "n").await.version;
    assert_eq!(seventh, Version(sixth.0 + 1));
    let since = vec![(node.node, sixth), (NodeId(node.node.0 + 1000), Version(0))];
    let events = b.events_since(since).await.expect("works");
    let known: Vec<_> = events
        .iter()
        .map(|(of, version, event)| (*of, *version, event.sequence, event.record.clone()))
        .collect();
    let told = [(0, event("/a", 3)), (1, event("/b", 1))];
    let told = told.map(|(sequence, record)| (node.node, seventh, sequence, record));
    assert_eq!(known, told, "in the order in which they came");
    assert_eq!(
        b.events_since(vec![(node.node, seventh)])
            .await
            .expect("works"),
        []
    );
}

pub(crate) async fn names_that_come_late_are_changes([a, b]: &[impl Store; 2]) {
    let node = attach(a, "n", 1).await;
    let elsewhere = Fact {
        key: archtrace_facts::fact::FactKey {
            cgroup: "/b.slice".to_owned(),
            ..key("/b", Mode::Emulated)
        },
        ..fact("/b", 1)
    };
    snapshot(a, node, 1, vec![fact("/a", 1), elsewhere]).await;
    let mut seen = head(b, "n").await.version;
    // The last one is what was known already.
    for (base, pod, told) in [(1, "api", 1), (2, "db", 1), (3, "db", 0)] {
        let cgroup = fact("/a", 1).key.cgroup;
        tell(a, node, base, vec![owner(&cgroup, "pay", pod)], Vec::new()).await;
        let changes = b.facts_since(vec![(node.node, seen)]).await.expect("works");
        let changes: Vec<_> = changes
            .iter()
            .map(|change| {
                let fact = &change.fact;
                (fact.fact.key.binary.as_str(), fact.identity.pod.as_str())
            })
            .collect();
        assert_eq!(changes, vec![("/a", pod); told]);
        seen = head(b, "n").await.version;
    }
}

pub(crate) async fn what_changes_nothing_is_no_change([a, b]: &[impl Store; 2]) {
    let node = attach(a, "n", 1).await;
    let told = vec![fact("/a", 1), fact("/b", 2)];
    snapshot(a, node, 1, told.clone()).await;
    let before = head(b, "n").await;
    snapshot(a, node, 1, told.clone()).await;
    apply(a, node, 1, told, &[&fact("/never", 1)]).await;
    a.heartbeats(vec![beat(node, 1, 2, 500)])
        .await
        .expect("works");
    let stale = Snapshot {
        epoch: 7,
        ..Snapshot::default()
    };
    a.apply_snapshot(node, stale, at(1)).await.expect("works");
    let told = batch(0, Vec::<Record>::new());
    a.append_events(node.node, told, at(1))
        .await
        .expect("works");
    a.attach(hello("n", 1), at(2)).await.expect("works");
    let after = head(b, "n").await;
    assert_eq!((after.version, after.last_heard), (before.version, at(500)));
}

pub(crate) async fn events_are_found_by_place([a, b]: &[impl Store; 2]) {
    let nodes = [attach(a, "n", 1).await.node, attach(b, "m", 1).await.node];
    let earlier = |first_sequence, records| EventBatch {
        stream_id: 5,
        ..batch(first_sequence, records)
    };
    for (node, batch) in [
        (0, batch(0, vec![event("/a", 1), event("/b", 2)])),
        (1, batch(0, vec![event("/c", 3)])),
        (
            0,
            earlier(7, vec![event("/d", 4), event("/e", 5), loss("spool", 6)]),
        ),
        (0, batch(2, vec![event("/f", 7)])),
    ] {
        let appended = a.append_events(nodes[node], batch, at(9)).await;
        appended.expect("works");
    }
    let everything = nodes.map(|node| (node, Version(0))).to_vec();
    let all = b.events_since(everything).await.expect("works");
    let mut all: Vec<_> = all
        .into_iter()
        .map(|(node, version, event)| (node, EventPlace::of(version, &event), event))
        .collect();
    all.sort_by_key(|(node, place, _)| (*node, *place));
    assert_eq!(all.len(), 7);
    for limit in [1, 2, 3, 100] {
        let mut places = nodes.map(|node| (node, EventPlace::default())).to_vec();
        // The order of asking is none of the answer.
        places.reverse();
        let mut told = Vec::new();
        loop {
            let old = b.count_events_after(places.clone(), at(6)).await;
            let left = all[told.len()..].iter();
            let left = left.filter(|(.., event)| event.record.time() < at(6));
            assert_eq!(old.expect("works"), left.count() as u64, "{limit}");
            let page = b.events_after(places.clone(), limit).await.expect("works");
            assert!(page.len() <= limit as usize);
            if page.is_empty() {
                break;
            }
            for (node, place, _) in &page {
                for known in places.iter_mut().filter(|(known, _)| known == node) {
                    known.1 = *place;
                }
            }
            told.extend(page);
        }
        assert_eq!(told, all, "{limit}");
        for (node, name) in nodes.into_iter().zip(["n", "m"]) {
            let behind = EventPlace::behind(head(b, name).await.version);
            let none = b.events_after(vec![(node, behind)], limit).await;
            assert_eq!(none.expect("works"), []);
        }
    }
}
