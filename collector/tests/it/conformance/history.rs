//! Agents that restart, move between two collectors, repeat themselves and lose things, in any order:
//! the store ends with what a simple model says, and whoever follows its changes sees the same.

mod agent;
mod model;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use archtrace_collector::store::{Applied, Delta, NodeId, Snapshot, Store};
use archtrace_facts::cost::CostDimension;
use archtrace_facts::select::Filter;
use archtrace_query::read::{CostQuery, EventQuery, FactQuery, Version};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use super::super::support::{at, hello};
use super::cost::{all_by, sums};
use super::{all, gap, only, owner};
use agent::Agent;
use model::{Model, Shown, Told, told};

/// Something that happens to a node, at one of the two collectors.
#[derive(Clone, Debug)]
enum Step {
    /// The agent connects, as one of three that come and go.
    Attach(u64),
    Snapshot {
        by: By,
        facts: BTreeMap<u8, Told>,
        right: bool,
    },
    Delta {
        by: By,
        upserts: BTreeMap<u8, Told>,
        removed: Vec<u8>,
        owner: Option<(u8, u8)>,
        base_is_right: bool,
        right: bool,
    },
    /// So many events happen.
    Events(u8),
    /// The oldest are given up.
    Evict(u8),
    /// Some are sent; the answer may be lost.
    Send { most: u8, answered: bool },
    /// It was silent for so long that it is forgotten.
    Forget,
}

/// Who sends an update: who attached the node last, or somebody before.
#[derive(Clone, Copy, Debug)]
enum By {
    Last,
    Earlier(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<(usize, usize, Step)>> {
    let by = || {
        prop_oneof![
            5 => Just(By::Last),
            1 => any::<prop::sample::Index>().prop_map(By::Earlier),
        ]
    };
    let facts = || {
        let numbers = (0..9_u64, 0..3_u64).prop_map(|(count, processes)| Told { count, processes });
        prop::collection::btree_map(0..5_u8, numbers, 0..4)
    };
    let mostly = || prop::bool::weighted(0.85);
    let step = prop_oneof![
        2 => (1..4_u64).prop_map(Step::Attach),
        3 => (by(), facts(), mostly())
            .prop_map(|(by, facts, right)| Step::Snapshot { by, facts, right }),
        4 => (
            by(),
            facts(),
            prop::collection::vec(0..5_u8, 0..2),
            prop::option::of((0..2_u8, 0..3_u8)),
            mostly(),
            mostly(),
        )
            .prop_map(|(by, upserts, removed, owner, base_is_right, right)| Step::Delta {
                by,
                upserts,
                removed,
                owner,
                base_is_right,
                right,
            }),
        2 => (1..5_u8).prop_map(Step::Events),
        1 => (1..4_u8).prop_map(Step::Evict),
        3 => (1..6_u8, mostly()).prop_map(|(most, answered)| Step::Send { most, answered }),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec((0..2_usize, 0..2_usize, step), 1..40)
}

pub(crate) fn any_history_ends_as_it_should(runtime: &Runtime, stores: &[impl Store; 2]) {
    let cases = AtomicUsize::new(0);
    let config = Config {
        cases: 32,
        failure_persistence: None,
        ..Config::default()
    };
    let tested = TestRunner::new(config).run(&steps(), |steps| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        runtime.block_on(check(stores, case, steps));
        Ok(())
    });
    tested.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn check(stores: &[impl Store; 2], case: usize, steps: Vec<(usize, usize, Step)>) {
    let before = gap(&stores[0]).await;
    let mut nodes = Vec::new();
    for node in 0..2 {
        nodes.push(Node::attach(stores, format!("n{case}-{node}")).await);
    }
    for (node, at, step) in steps {
        let node = &mut nodes[node];
        node.step(&stores[at], step).await;
        node.follow(&stores[1 - at]).await;
    }
    for node in &mut nodes {
        node.agent.send_all(&stores[0]).await;
        node.compare(&stores[1]).await;
    }
    assert_eq!(gap(&stores[1]).await, before);
}

struct Node {
    name: String,
    model: Model,
    agent: Agent,
    seen: Version,
    followed: BTreeMap<String, Shown>,
}

impl Node {
    async fn attach(stores: &[impl Store; 2], name: String) -> Self {
        let attached = stores[0]
            .attach(hello(&name, 1), at(100))
            .await
            .expect("works");
        Self {
            agent: Agent::new(attached.lease.node),
            model: Model::new(attached.lease),
            name,
            seen: Version(0),
            followed: BTreeMap::new(),
        }
    }

    async fn step(&mut self, store: &impl Store, step: Step) {
        match step {
            Step::Attach(epoch) => {
                let mut hello = hello(&self.name, epoch);
                self.agent.restart(epoch, &mut hello);
                let attached = store.attach(hello, at(200)).await.expect("works");
                self.agent.welcome(&attached);
                let held = self.model.attach(epoch, attached.lease);
                assert_eq!(attached.held, held);
            }
            Step::Snapshot { by, facts, right } => {
                let (lease, is_last) = self.model.lease(by);
                let expected = self.model.snapshot(&facts, right, is_last);
                let snapshot = Snapshot {
                    epoch: self.model.epoch,
                    revision: 1,
                    digest: Some(self.model.digest_of(&facts, right)),
                    facts: told(&facts),
                    ..Snapshot::default()
                };
                let applied = store.apply_snapshot(lease, snapshot, at(201)).await;
                assert_eq!(applied.expect("works"), expected);
            }
            Step::Delta {
                by,
                upserts,
                removed,
                owner: pod,
                base_is_right,
                right,
            } => {
                let (lease, is_last) = self.model.lease(by);
                let base_revision = if base_is_right {
                    self.model.revision()
                } else {
                    1000
                };
                let (expected, digest) =
                    self.model
                        .delta(&upserts, &removed, pod, base_revision, right, is_last);
                let owners = pod.map(|(cgroup, pod)| {
                    owner(&model::cgroup(cgroup), "ns", &format!("pod-{pod}"))
                });
                let delta = Delta {
                    epoch: self.model.epoch,
                    base_revision,
                    revision: base_revision + 1,
                    upserts: told(&upserts),
                    removed: removed
                        .iter()
                        .map(|name| model::fact(*name, Told::default()).key.id())
                        .collect(),
                    owners: owners.into_iter().collect(),
                    digest: Some(digest),
                    ..Delta::default()
                };
                let applied: Applied = store
                    .apply_delta(lease, delta, at(202))
                    .await
                    .expect("works");
                assert_eq!(applied, expected);
            }
            Step::Events(count) => self.agent.events(count),
            Step::Evict(count) => self.agent.evict(count),
            Step::Send { most, answered } => self.agent.send(store, most.into(), answered).await,
            Step::Forget => {
                let NodeId(node) = self.agent.node();
                let forgotten = store.forget(vec![NodeId(node), NodeId(node + 1000)], at(300));
                let is_there = self.model.forget();
                assert_eq!(forgotten.await.expect("works"), u64::from(is_there));
            }
        }
    }

    /// Takes over what changed, and compares.
    async fn follow(&mut self, store: &impl Store) {
        let heads = store.heads().await.expect("works");
        let head = heads.into_iter().find(|head| head.name == self.name);
        assert_eq!(head.is_some(), self.model.is_there());
        let Some(head) = head else {
            // Nothing is known of it any more.
            assert_eq!(self.model.live(), BTreeMap::new());
            (self.seen, self.followed) = (Version(0), BTreeMap::new());
            return;
        };
        assert!(head.began <= head.version);
        let since = vec![(head.node, self.seen)];
        for change in store.facts_since(since).await.expect("works") {
            assert!(change.version > self.seen && change.version <= head.version);
            let binary = change.fact.fact.key.binary.clone();
            if change.fact.ended {
                self.followed.remove(&binary);
            } else {
                self.followed.insert(binary, Shown::of(&change.fact));
            }
        }
        self.seen = head.version;
        assert_eq!(self.followed, self.model.live());
    }

    async fn compare(&self, store: &impl Store) {
        let filter = || {
            only(Filter {
                nodes: vec![self.name.clone()],
                ..Filter::default()
            })
        };
        let query = FactQuery {
            selection: filter(),
            ..all()
        };
        let facts = store.facts(query).await.expect("works");
        let known = facts.iter().map(|(_, fact)| {
            let binary = fact.fact.key.binary.clone();
            (binary, (Shown::of(fact), fact.ended))
        });
        assert_eq!(known.collect::<BTreeMap<_, _>>(), self.model.all());
        let query = CostQuery {
            nodes: vec![self.name.clone()],
            ..all_by(&[CostDimension::Workload])
        };
        let burnt = sums(store, query).await.into_iter();
        let burnt: BTreeMap<_, _> = burnt.filter(|(_, cpu_ns)| *cpu_ns > 0).collect();
        assert_eq!(burnt, self.model.burnt());
        let query = EventQuery {
            selection: filter(),
            ..super::any()
        };
        let events = store.events(query).await.expect("works");
        self.agent
            .compare(events.into_iter().map(|(_, event)| event));
    }
}
