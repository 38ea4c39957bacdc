//! What coverage takes for a fleet: time of a whole answer, and how soon a change is seen, while facts
//! change.
//!
//! `cargo run --release -p archtrace-query --example coverage -- 10000`: that many nodes of 30 facts, 12 of
//! which are of 12 mandated agents. The store makes its facts up when asked, so that times are the answer's.

#[path = "made_up/store.rs"]
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::InForce;
use archtrace_facts::fact::{Fact, FactId, FactKey, Mode, Via};
use archtrace_facts::identity::Identity;
use archtrace_facts::policy::{Agent, Match, Nodes, Policy, words};
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as _;
use archtrace_query::{Known, Mandated, Mandates, Policies, Query};
use store::{Fleet, MadeUp, shown};
use tonic::Request;

const AGENTS: u64 = 12;
/// The node that begins to emulate an agent.
const TURNING: u64 = 4711;

/// Nodes of which each has all agents.
#[derive(Default)]
struct OfAgents {
    /// How often the first agent on [`TURNING`] turned to an emulator or back.
    turns: AtomicU64,
}

impl Fleet for OfAgents {
    const ARCH: Arch = Arch::Arm64;

    fn turns(&self, node: u64) -> u64 {
        if node == TURNING {
            self.turns.load(Ordering::Relaxed)
        } else {
            0
        }
    }

    fn fact(&self, node: u64, i: u64, count: u64) -> (FactId, Fact, Identity) {
        let turned = i == 0 && self.turns(node) % 2 == 1;
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
        // The same for both modes, so that one takes the other's place.
        let mut key = fact.key.clone();
        (key.mode, key.emulator, key.via) = (Mode::Native, None, None);
        (key.id(), fact, identity)
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

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let store = MadeUp::new(OfAgents::default());
    let mandated = Mandated {
        policy: policy(),
        in_force: InForce::default(),
    };
    let mandates = Mandates::Of(Arc::new(Always(Arc::new(mandated))));
    let settings = store::settings(mandates);
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
    let summary = query.summarize_facts(Request::new(v1::SummarizeFactsRequest::default()));
    assert!(summary.await.is_ok());
    println!("all facts read: {:?}", begun.elapsed());
    let begun = Instant::now();
    let first = ask(&["EMULATED"], String::new()).await;
    let all: u64 = first.totals.iter().map(|total| total.nodes).sum();
    println!(
        "{all} agents on nodes, evaluated when nothing was known: {:?}",
        begun.elapsed()
    );
    store.change();
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
    let (mut sums, mut pages) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begun = Instant::now();
        let tallies = query.tallies().await;
        sums.push(begun.elapsed());
        assert_eq!(tallies.map_or(0, |told| told.agents.len()), 12);
        let begun = Instant::now();
        let asked = v1::GetMatrixRequest {
            page_size: 10,
            ..Default::default()
        };
        let answer = query.get_matrix(Request::new(asked)).await;
        pages.push(begun.elapsed());
        assert!(answer.is_ok_and(|answer| !answer.get_ref().workloads.is_empty()));
    }
    println!("by agent and kind of node: {}", shown(sums));
    println!("a page of the matrix, 10 workloads: {}", shown(pages));
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
        store.fleet.turns.store(turn, Ordering::Relaxed);
        let emulated = usize::from(turn % 2 == 1);
        while ask(&["EMULATED"], String::new()).await.rows.len() != emulated {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        times.push(begun.elapsed());
    }
    println!("from a change to an answer that has it: {}", shown(times));
}
