//! What coverage takes for a fleet: time of a whole answer, and how soon a change is seen, while facts
//! change.
//!
//! `cargo run --release -p archtrace-query --example coverage -- 10000`: that many nodes of 30 facts, 12 of
//! which are of 12 mandated agents. The store makes its facts up when asked, so that times are the answer's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::InForce;
use archtrace_facts::fact::{Fact, FactKey, Mode, Via};
use archtrace_facts::fleet::{FleetImage, NodeEvent, NodeFact, NodeStatus, Totals};
use archtrace_facts::identity::Identity;
use archtrace_facts::policy::{Agent, Match, Nodes, Policy, words};
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as _;
use archtrace_query::read::{
    EventCursor, EventQuery, FactChange, FactCursor, FactQuery, Head, ImageCursor, ImageQuery,
    NodeId, NodeQuery, StoreError, Version,
};
use archtrace_query::{Known, Mandated, Mandates, Open, Policies, Query, Read, Seen, Settings};
use tokio_util::sync::CancellationToken;
use tonic::Request;

const FACTS: u64 = 30;
const AGENTS: u64 = 12;
/// The node that begins to emulate an agent.
const TURNING: u64 = 4711;

struct MadeUp {
    nodes: u64,
    /// Nodes that changed since the beginning: one after the other.
    changes: AtomicU64,
    /// How often the first agent on [`TURNING`] turned to an emulator or back.
    turns: AtomicU64,
}

impl MadeUp {
    fn version(&self, node: u64) -> i64 {
        let changes = self.changes.load(Ordering::Relaxed);
        let turns = if node == TURNING {
            self.turns.load(Ordering::Relaxed)
        } else {
            0
        };
        i64::try_from(1 + turns + (changes + self.nodes - node) / self.nodes).unwrap_or(i64::MAX)
    }

    fn fact(&self, node: u64, i: u64, count: u64) -> (Fact, Identity) {
        let turned = node == TURNING && i == 0 && self.turns.load(Ordering::Relaxed) % 2 == 1;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + count);
        let fact = Fact {
            key: FactKey {
                cgroup: format!(
                    "/kubepods.slice/pod{node:08x}{i:02x}.slice/cri-containerd-{node:032x}{i:032x}.scope"
                ),
                binary: format!("/usr/bin/program-{i}"),
                path_resolved: true,
                arch: Arch::Arm64,
                mode: if turned { Mode::Emulated } else { Mode::Native },
                emulator: turned.then(|| "/usr/bin/qemu".to_owned()),
                via: turned.then_some(Via::BinfmtMisc),
                cause: None,
            },
            count,
            processes: u64::from(turned),
            cpu_ns: 0,
            first_seen: time,
            last_seen: time,
        };
        let (kind, name) = if i < AGENTS {
            ("DaemonSet", "agent")
        } else {
            ("Deployment", "service")
        };
        let identity = Identity {
            namespace: format!("{name}-{i}"),
            pod: format!("{name}-{i}-{node:x}"),
            container: "main".to_owned(),
            image: format!("registry.example/{name}s/{name}-{i}:1.{}", node % 3),
            workload: format!("{kind}/{name}-{i}"),
            labels: [("app".to_owned(), format!("{name}-{i}"))].into(),
            ..Identity::default()
        };
        (fact, identity)
    }
}

impl Read for MadeUp {
    async fn facts(&self, _: FactQuery) -> Result<Vec<(FactCursor, NodeFact)>, StoreError> {
        Ok(Vec::new())
    }

    async fn events(&self, _: EventQuery) -> Result<Vec<(EventCursor, NodeEvent)>, StoreError> {
        Ok(Vec::new())
    }

    async fn images(&self, _: ImageQuery) -> Result<Vec<(ImageCursor, FleetImage)>, StoreError> {
        Ok(Vec::new())
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
            arch: Arch::Arm64,
            version: Version(self.version(node)),
            last_heard: SystemTime::now(),
        });
        Ok(heads.collect())
    }

    async fn facts_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> Result<Vec<FactChange>, StoreError> {
        let changes = nodes.into_iter().flat_map(|(id, since)| {
            let node = id.0.unsigned_abs();
            let version = self.version(node);
            // A change is of one fact, the first. That of a mode ends one and begins another.
            let count = if since.0 == 0 { FACTS } else { 1 };
            (0..count).map(move |i| {
                let (fact, identity) = self.fact(node, i, version.unsigned_abs());
                let mut key = fact.key.clone();
                (key.mode, key.emulator, key.via) = (Mode::Native, None, None);
                FactChange {
                    node: id,
                    version: Version(version),
                    // The same for both modes, so that one takes the other's place.
                    id: key.id(),
                    cursor: FactCursor(id.0 * 1000 + i.cast_signed()),
                    fact: NodeFact {
                        cluster: "prod".to_owned(),
                        node: format!("node-{node}"),
                        node_arch: Arch::Arm64,
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

struct Always(Arc<Mandated>);

impl Policies for Always {
    fn policy(&self) -> Arc<Mandated> {
        Arc::clone(&self.0)
    }

    fn problem(&self) -> String {
        String::new()
    }
}

/// Each agent is known by its namespace, a label, its workload and its image; a third of its versions is not
/// certified.
fn policy() -> Policy {
    let versions = ["1.0", "1.1*"]
        .iter()
        .filter_map(|text| words::version(text).ok());
    let versions: Vec<_> = versions.collect();
    let agent = |i| Agent {
        name: format!("agent-{i}"),
        matches: Match {
            namespace: Some(format!("agent-{i}")),
            labels: [("app".to_owned(), format!("agent-{i}"))].into(),
            image: Some("*/agents/*".to_owned()),
            workload: Some(format!("DaemonSet/agent-{i}")),
            ..Match::default()
        },
        nodes: Nodes {
            archs: vec![Arch::Arm64],
            ..Nodes::default()
        },
        certified: Some([(Arch::Arm64, versions.clone())].into()),
        waivers: Vec::new(),
    };
    Policy {
        agents: (0..AGENTS).map(agent).collect(),
    }
}

fn shown(mut times: Vec<Duration>) -> String {
    times.sort();
    let (middle, last) = (times.get(times.len() / 2), times.last());
    format!(
        "p50 {:?}, most {:?}",
        middle.copied().unwrap_or_default(),
        last.copied().unwrap_or_default()
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let nodes = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let store = Arc::new(MadeUp {
        nodes: nodes.unwrap_or(10_000),
        changes: AtomicU64::new(0),
        turns: AtomicU64::new(0),
    });
    let mandated = Mandated {
        policy: policy(),
        in_force: InForce::default(),
    };
    let settings = Settings {
        store_name: "made up".to_owned(),
        heartbeat_interval: Duration::from_secs(10),
        server: Arc::new(Open),
        expected: Arc::new(Seen::default()),
        mandates: Mandates::Of(Arc::new(Always(Arc::new(mandated)))),
        idle: None,
        shutdown: CancellationToken::new(),
    };
    let query = Query::new(Arc::clone(&store), settings);
    let ask = async |statuses: &[&str], page_token: String| {
        let request = v1::GetCoverageRequest {
            statuses: statuses.iter().map(|word| (*word).to_owned()).collect(),
            page_size: 10_000,
            page_token,
            ..Default::default()
        };
        let answer = query.get_coverage(Request::new(request)).await;
        answer.map(tonic::Response::into_inner).unwrap_or_default()
    };
    let begun = Instant::now();
    let first = ask(&["EMULATED"], String::new()).await;
    let all: u64 = first.totals.iter().map(|total| total.nodes).sum();
    println!(
        "{all} agents on nodes after {:?}, which facts took to be read",
        begun.elapsed()
    );
    let writer = Arc::clone(&store);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            writer.changes.fetch_add(20, Ordering::Relaxed);
        }
    });
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let answer = ask(&["EMULATED"], String::new()).await;
        times.push(begun.elapsed());
        assert_eq!(
            answer.totals.iter().map(|total| total.nodes).sum::<u64>(),
            all
        );
    }
    println!("evaluated, and the totals: {}", shown(times));
    let (begun, mut rows, mut pages, mut token) = (Instant::now(), 0, 0, String::new());
    loop {
        let page = ask(&[], token).await;
        (rows, pages) = (rows + page.rows.len(), pages + 1);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    println!("{rows} rows in {pages} pages: {:?}", begun.elapsed());
    let (mut known, mut looks) = (Known::default(), Vec::new());
    for _ in 0..10 {
        let begun = Instant::now();
        let Ok((now, _)) = query.coverage_changes(known).await else {
            return;
        };
        known = now;
        looks.push(begun.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!(
        "what changed in a second (2,000 facts, each on another node): {}",
        shown(looks)
    );
    let mut times = Vec::new();
    for turn in 1..=10 {
        tokio::time::sleep(Duration::from_millis(137)).await;
        let begun = Instant::now();
        store.turns.store(turn, Ordering::Relaxed);
        let emulated = usize::from(turn % 2 == 1);
        while ask(&["EMULATED"], String::new()).await.rows.len() != emulated {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        times.push(begun.elapsed());
    }
    println!("from a change to an answer that has it: {}", shown(times));
}
