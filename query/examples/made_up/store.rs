//! A store that makes its facts up when asked, so that times and memory are the answer's; and what examples
//! measure with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Fact, FactId};
use archtrace_facts::fleet::{FleetImage, NodeEvent, NodeFact, NodeStatus, Totals};
use archtrace_facts::identity::Identity;
use archtrace_query::read::{
    EventCursor, EventQuery, FactChange, FactCursor, FactQuery, Head, ImageCursor, ImageQuery,
    NodeId, NodeQuery, StoreError, Version,
};
use archtrace_query::{Mandates, Open, Read, Seen, Settings};
use tokio_util::sync::CancellationToken;

/// Facts of each node.
pub(crate) const FACTS: u64 = 30;

/// What is made up.
pub(crate) trait Fleet: Send + Sync + 'static {
    /// Of all nodes.
    const ARCH: Arch;

    /// A fact of a node, which was seen so often, by what it is known and whose it is.
    fn fact(&self, node: u64, i: u64, count: u64) -> (FactId, Fact, Identity);

    /// How often the node changed besides.
    fn turns(&self, _node: u64) -> u64 {
        0
    }

    /// The image of this number, from 0 on, if there is one.
    fn image(&self, _i: i64) -> Option<FleetImage> {
        None
    }
}

/// A store that holds it.
pub(crate) struct MadeUp<F> {
    pub(crate) nodes: u64,
    /// Nodes that changed since the beginning: one after the other.
    changes: AtomicU64,
    pub(crate) fleet: F,
}

impl<F: Fleet> MadeUp<F> {
    /// As many nodes as the first argument of the program says, or ten thousand.
    pub(crate) fn new(fleet: F) -> Arc<Self> {
        let nodes = std::env::args().nth(1).and_then(|text| text.parse().ok());
        Arc::new(Self {
            nodes: nodes.unwrap_or(10_000),
            changes: AtomicU64::new(0),
            fleet,
        })
    }

    /// From now on 2,000 facts change each second, each on another node.
    pub(crate) fn change(self: &Arc<Self>) {
        let store = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                store.changes.fetch_add(20, Ordering::Relaxed);
            }
        });
    }

    fn version(&self, node: u64) -> i64 {
        let changes = self.changes.load(Ordering::Relaxed);
        let turns = self.fleet.turns(node);
        i64::try_from(1 + turns + (changes + self.nodes - node) / self.nodes).unwrap_or(i64::MAX)
    }
}

/// Of a server that is ready before it is asked.
pub(crate) fn settings(mandates: Mandates) -> Settings {
    Settings {
        store_name: "made up".to_owned(),
        heartbeat_interval: Duration::from_secs(10),
        server: Arc::new(Open),
        expected: Arc::new(Seen::default()),
        mandates,
        idle: None,
        shutdown: CancellationToken::new(),
    }
}

/// The median and the most.
pub(crate) fn shown(mut times: Vec<Duration>) -> String {
    times.sort();
    let (middle, last) = (times.get(times.len() / 2), times.last());
    format!(
        "p50 {:?}, most {:?}",
        middle.copied().unwrap_or_default(),
        last.copied().unwrap_or_default()
    )
}

impl<F: Fleet> Read for MadeUp<F> {
    async fn facts(&self, _: FactQuery) -> Result<Vec<(FactCursor, NodeFact)>, StoreError> {
        Ok(Vec::new())
    }

    async fn events(&self, _: EventQuery) -> Result<Vec<(EventCursor, NodeEvent)>, StoreError> {
        Ok(Vec::new())
    }

    async fn images(
        &self,
        query: ImageQuery,
    ) -> Result<Vec<(ImageCursor, FleetImage)>, StoreError> {
        let first = query.after.map_or(0, |after| after.0 + 1);
        let images = (first..).map_while(|i| Some((ImageCursor(i), self.fleet.image(i)?)));
        let most = query.limit.try_into().unwrap_or(usize::MAX);
        Ok(images.take(most).collect())
    }

    async fn nodes(&self, _: NodeQuery) -> Result<Vec<(NodeId, NodeStatus)>, StoreError> {
        Ok(Vec::new())
    }

    async fn totals(&self, _: SystemTime) -> Result<Totals, StoreError> {
        Ok(Totals::default())
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let heads = (0..self.nodes).map(|node| Head {
            node: NodeId(i64::try_from(node).unwrap_or(0)),
            cluster: "prod".to_owned(),
            name: format!("ip-10-0-{}-{}.internal", node / 250, node % 250),
            arch: F::ARCH,
            version: Version(self.version(node)),
            began: Version::default(),
            last_heard: SystemTime::now(),
        });
        Ok(heads.collect())
    }

    async fn facts_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> Result<Vec<FactChange>, StoreError> {
        let changes = nodes.into_iter().flat_map(|(node, since)| {
            let number = node.0.unsigned_abs();
            let version = self.version(number);
            // A change is of one fact, the first.
            let count = if since.0 == 0 { FACTS } else { 1 };
            (0..count).map(move |i| {
                let (id, fact, identity) = self.fleet.fact(number, i, version.unsigned_abs());
                FactChange {
                    node,
                    version: Version(version),
                    id,
                    cursor: FactCursor(node.0 * 1000 + i.cast_signed()),
                    fact: NodeFact {
                        cluster: "prod".to_owned(),
                        node: format!("node-{number}"),
                        node_arch: F::ARCH,
                        fact,
                        identity,
                        current: true,
                        ended: false,
                    },
                }
            })
        });
        Ok(changes.collect())
    }

    async fn events_since(
        &self,
        _: Vec<(NodeId, Version)>,
    ) -> Result<Vec<(NodeId, Version, NodeEvent)>, StoreError> {
        Ok(Vec::new())
    }
}
