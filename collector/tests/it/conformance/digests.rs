//! What an agent told and what is stored are compared.

use archtrace_collector::store::{Applied, Delta, Snapshot, Store};
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::Fact;

use super::super::support::{at, fact, hello};
use super::{attach, counts, done, facts, head, owner};

fn digest(facts: &[Fact]) -> Digest {
    facts.iter().map(Digest::of_fact).sum()
}

pub(crate) async fn other_digests_are_refused(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let told = vec![fact("/a", 1), fact("/b", 2)];
    let right = digest(&told);
    let snapshot = |digest| Snapshot {
        epoch: 1,
        revision: 1,
        facts: told.clone(),
        digest: Some(digest),
        ..Snapshot::default()
    };
    let applied = store.apply_snapshot(node, snapshot(Digest::default()), at(1));
    let applied = applied.await.expect("works");
    assert_eq!(applied, Applied::OtherDigest(right));
    assert_eq!(counts(store).await, []);
    assert_eq!(
        done(store.apply_snapshot(node, snapshot(right), at(2)).await),
        right
    );
    // One changes, one comes and goes, one goes, one comes.
    let after = [fact("/a", 7), fact("/d", 1)];
    let delta = |digest| Delta {
        epoch: 1,
        base_revision: 1,
        revision: 2,
        upserts: vec![after[0].clone(), fact("/c", 9), after[1].clone()],
        removed: ["/b", "/c"].map(|name| fact(name, 0).key.id()).to_vec(),
        owners: vec![owner(&after[0].key.cgroup, "pay", "api")],
        digest: Some(digest),
        ..Delta::default()
    };
    let before = head(store, "n").await;
    let applied = store.apply_delta(node, delta(right), at(3)).await;
    let right = digest(&after);
    assert_eq!(applied.expect("works"), Applied::OtherDigest(right));
    assert_eq!(head(store, "n").await.version, before.version);
    let known = facts(store, super::all()).await;
    let known: Vec<_> = known
        .iter()
        .map(|f| (f.fact.count, f.identity.pod.as_str()))
        .collect();
    assert_eq!(known, [(2, ""), (1, "")], "nothing of it is left");
    assert_eq!(
        done(store.apply_delta(node, delta(right), at(4)).await),
        right
    );
    let again = store.attach(hello("n", 1), at(5)).await.expect("works");
    assert_eq!(again.held, Some((2, right)));
    // Facts of another epoch are not in it.
    let node = store
        .attach(hello("n", 2), at(6))
        .await
        .expect("works")
        .lease;
    let of_two = Snapshot {
        epoch: 2,
        facts: vec![fact("/a", 1)],
        digest: Some(digest(&[fact("/a", 1)])),
        ..Snapshot::default()
    };
    done(store.apply_snapshot(node, of_two, at(7)).await);
}

pub(crate) async fn facts_told_twice_count_once(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let told = vec![fact("/a", 1), fact("/b", 1), fact("/a", 4)];
    let right = digest(&told[1..]);
    let snapshot = Snapshot {
        epoch: 1,
        facts: told.clone(),
        digest: Some(right),
        ..Snapshot::default()
    };
    done(store.apply_snapshot(node, snapshot, at(1)).await);
    let delta = Delta {
        epoch: 1,
        upserts: [&told[..], &told[..]].concat(),
        digest: Some(right),
        ..Delta::default()
    };
    done(store.apply_delta(node, delta, at(2)).await);
    assert_eq!(
        counts(store).await,
        [("/b".to_owned(), 1, 1), ("/a".to_owned(), 4, 1)]
    );
}
