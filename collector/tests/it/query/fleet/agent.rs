//! Agents, as far as stores see them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_collector::store::{Delta, Lease, Snapshot, Store};
use archtrace_facts::fact::{Fact, Mode};
use archtrace_facts::identity::Identity;
use archtrace_facts::report::Owner;
use proptest::prelude::*;

use super::super::super::support::{fact, hello, key};

/// What happens to a node.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Its agent starts again, and reports to this collector.
    Attach(usize),
    Snapshot(BTreeMap<u8, u64>),
    Delta(BTreeMap<u8, u64>, BTreeSet<u8>, Option<u8>),
    /// It is forgotten; what it tells until it comes again is not taken.
    Forget,
    /// Others get ahead.
    Rest,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let facts = || prop::collection::btree_map(0..6_u8, 0..9_u64, 0..5);
    let removed = prop::collection::btree_set(0..6_u8, 0..2);
    let step = prop_oneof![
        1 => (0..2_usize).prop_map(Step::Attach),
        2 => facts().prop_map(Step::Snapshot),
        6 => (facts(), removed, prop::option::of(0..3_u8))
            .prop_map(|(facts, removed, owner)| Step::Delta(facts, removed, owner)),
        1 => Just(Step::Forget),
        1 => Just(Step::Rest),
    ];
    prop::collection::vec((0..NODES, step), 10..80)
}

pub(super) const NODES: usize = 5;

pub(super) fn told(i: u8, count: u64) -> Fact {
    let mode = if i.is_multiple_of(2) {
        Mode::Emulated
    } else {
        Mode::Native
    };
    Fact {
        key: key(&format!("/{i}"), mode),
        processes: if mode == Mode::Emulated { count / 3 } else { 0 },
        ..fact("/", count)
    }
}

/// An agent, as far as a store sees it.
pub(super) struct Agent<'a, S> {
    stores: &'a [Arc<S>; 2],
    at: usize,
    name: String,
    epoch: u64,
    lease: Lease,
    revision: Option<u64>,
}

impl<'a, S: Store> Agent<'a, S> {
    pub(super) async fn start(stores: &'a [Arc<S>; 2], name: String) -> Self {
        let attached = stores[0].attach(hello(&name, 1), SystemTime::now()).await;
        Self {
            stores,
            at: 0,
            name,
            epoch: 1,
            lease: attached.expect("works").lease,
            revision: None,
        }
    }

    pub(super) async fn step(&mut self, step: Step) {
        let (store, now) = (&self.stores[self.at], SystemTime::now());
        match (step, self.revision) {
            (Step::Rest, _) => tokio::time::sleep(Duration::from_millis(100)).await,
            (Step::Forget, _) => {
                let ever = now + Duration::from_secs(86_400);
                let forgotten = store.forget(vec![self.lease.node], ever);
                forgotten.await.expect("works");
            }
            (Step::Attach(at), _) => {
                self.at = at;
                self.epoch += 1;
                let attached = self.stores[at].attach(hello(&self.name, self.epoch), now);
                self.lease = attached.await.expect("works").lease;
                self.revision = None;
            }
            (Step::Snapshot(facts), _) | (Step::Delta(facts, ..), None) => {
                let snapshot = Snapshot {
                    epoch: self.epoch,
                    revision: 1,
                    facts: facts.into_iter().map(|(i, count)| told(i, count)).collect(),
                    ..Snapshot::default()
                };
                let applied = store.apply_snapshot(self.lease, snapshot, now);
                applied.await.expect("works");
                self.revision = Some(1);
            }
            (Step::Delta(facts, removed, owner), Some(revision)) => {
                let owner = owner.map(|pod| Owner {
                    cgroup: key("", Mode::Native).cgroup,
                    identity: Identity {
                        namespace: format!("ns{pod}"),
                        pod: format!("pod{pod}"),
                        ..Identity::default()
                    },
                });
                let delta = Delta {
                    epoch: self.epoch,
                    base_revision: revision,
                    revision: revision + 1,
                    upserts: facts.into_iter().map(|(i, count)| told(i, count)).collect(),
                    removed: removed.into_iter().map(|i| told(i, 0).key.id()).collect(),
                    owners: owner.into_iter().collect(),
                    ..Delta::default()
                };
                store
                    .apply_delta(self.lease, delta, now)
                    .await
                    .expect("works");
                self.revision = Some(revision + 1);
            }
        }
    }
}
