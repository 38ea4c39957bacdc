//! How it is with mandated agents.

mod blind;
mod changes;
mod matrix;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::{InForce, Place, Status};
use archtrace_facts::fact::{Fact, Mode};
use archtrace_facts::fleet::{ExpectedNode, ExpectedNodes};
use archtrace_facts::identity::{Identity, LastExit};
use archtrace_facts::policy::{Agent, Match, Nodes, Policy, Waiver, words};
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as _;
use archtrace_query::read::NodeId;
use archtrace_query::{Known, Mandated, Mandates, Policies, Query};
use tonic::{Code, Request};

use super::memory::{Memory, fact, query, query_of};

/// A policy that changes on order.
struct OnOrder(Mutex<Arc<Mandated>>);

impl Policies for OnOrder {
    fn policy(&self) -> Arc<Mandated> {
        Arc::clone(&self.0.lock().expect("no test panics meanwhile"))
    }

    fn problem(&self) -> String {
        "a problem".to_owned()
    }
}

fn mandated(agents: Vec<Agent>) -> Arc<Mandated> {
    let in_force = InForce {
        source: "policy.yaml".to_owned(),
        agents: agents.len() as u64,
        ..InForce::default()
    };
    Arc::new(Mandated {
        policy: Policy { agents },
        in_force,
    })
}

fn agent(name: &str, matches: Match) -> Agent {
    Agent {
        name: name.to_owned(),
        matches,
        nodes: Nodes::default(),
        certified: None,
        waivers: Vec::new(),
    }
}

fn namespace(name: &str) -> Match {
    Match {
        namespace: Some(name.to_owned()),
        ..Match::default()
    }
}

fn label(key: &str, value: &str) -> Match {
    Match {
        labels: [(key.to_owned(), value.to_owned())].into(),
        ..Match::default()
    }
}

/// Whose the agent's processes are.
fn pod() -> Identity {
    Identity {
        namespace: "falcon".to_owned(),
        pod: "falcon-x7".to_owned(),
        container: "sensor".to_owned(),
        image: "r/falcon:7.18".to_owned(),
        workload: "DaemonSet/falcon".to_owned(),
        labels: BTreeMap::from([("app".to_owned(), "falcon".to_owned())]),
        ..Identity::default()
    }
}

fn now(fact: Fact) -> Fact {
    Fact {
        first_seen: SystemTime::now(),
        last_seen: SystemTime::now(),
        ..fact
    }
}

fn native() -> Fact {
    now(fact("/falcon", Mode::Native, 1))
}

/// One that reports for as long as the test takes.
fn add_node(store: &Memory, name: &str) -> NodeId {
    let node = store.add_node(name);
    store.heard(node, SystemTime::now() + Duration::from_secs(3600));
    node
}

/// A service where this policy holds.
fn with(
    store: &Arc<Memory>,
    expected: &[&str],
    agents: Vec<Agent>,
) -> (Query<Memory>, Arc<OnOrder>) {
    let policy = Arc::new(OnOrder(Mutex::new(mandated(agents))));
    let nodes = expected.iter().map(|name| ExpectedNode {
        cluster: Some("c".to_owned()),
        name: (*name).to_owned(),
    });
    let expected = ExpectedNodes {
        source: "file".to_owned(),
        nodes: (!expected.is_empty()).then(|| nodes.collect()),
        ..ExpectedNodes::seen()
    };
    let mandates = Mandates::Of(Arc::clone(&policy) as Arc<dyn Policies>);
    (query_of(store, None, expected, mandates), policy)
}

async fn ask(query: &Query<Memory>, ask: v1::GetCoverageRequest) -> v1::GetCoverageResponse {
    let answer = query.get_coverage(Request::new(ask)).await;
    answer.expect("an answer").into_inner()
}

/// Each row as agent, node and status.
fn shown(answer: &v1::GetCoverageResponse) -> Vec<String> {
    let rows = answer.rows.iter();
    rows.map(|row| format!("{} {} {}", row.agent, row.node, row.status))
        .collect()
}

/// Asks until the answer is this one, for two seconds and what a busy machine adds.
async fn until(query: &Query<Memory>, expected: &[&str]) {
    let begun = Instant::now();
    loop {
        let answer = ask(query, v1::GetCoverageRequest::default()).await;
        let told = shown(&answer);
        let totals: u64 = answer.totals.iter().map(|total| total.nodes).sum();
        assert_eq!(totals, answer.rows.len() as u64);
        for total in &answer.totals {
            let is_it =
                |row: &&v1::AgentCoverage| row.agent == total.agent && row.status == total.status;
            // Rows are looked at anew, and totals are what was judged of nodes that did not change.
            let rows = answer.rows.iter().filter(is_it).count();
            assert_eq!(rows as u64, total.nodes, "{total:?} {told:?}");
        }
        if told == expected {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{told:?}, not {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn each_agent_on_each_node_as_it_is_now() {
    let store = Arc::new(Memory::default());
    let (one, two) = (add_node(&store, "n1"), add_node(&store, "n2"));
    add_node(&store, "n3");
    store.put(one, vec![(native(), pod())]);
    let (query, _) = with(
        &store,
        &["n1", "n2", "n9"],
        vec![
            agent("falcon", namespace("falcon")),
            Agent {
                nodes: Nodes {
                    names: vec!["n2".to_owned()],
                    ..Nodes::default()
                },
                ..agent("audit", namespace("audit"))
            },
        ],
    );
    until(
        &query,
        &[
            "audit n2 MISSING",
            "falcon n1 NATIVE",
            "falcon n2 MISSING",
            "falcon n3 MISSING",
            "falcon n9 UNKNOWN",
        ],
    )
    .await;
    store.put(two, vec![(now(fact("/falcon", Mode::Emulated, 1)), pod())]);
    store.heard(NodeId(3), SystemTime::UNIX_EPOCH);
    // n3 is silent and need not report: it is gone.
    until(
        &query,
        &[
            "audit n2 MISSING",
            "falcon n1 NATIVE",
            "falcon n2 EMULATED",
            "falcon n9 UNKNOWN",
        ],
    )
    .await;
    store.heard(one, SystemTime::UNIX_EPOCH);
    until(
        &query,
        &[
            "audit n2 MISSING",
            "falcon n1 STALE",
            "falcon n2 EMULATED",
            "falcon n9 UNKNOWN",
        ],
    )
    .await;
}

#[tokio::test]
async fn answers_are_cut_and_filtered_and_totals_are_not() {
    let store = Arc::new(Memory::default());
    for name in ["n2", "n1", "n3"] {
        let node = add_node(&store, name);
        store.put(node, vec![(native(), pod())]);
    }
    let (query, _) = with(
        &store,
        &["n1", "n2", "n3", "n4"],
        vec![
            agent("falcon", namespace("falcon")),
            agent("b", namespace("b")),
        ],
    );
    let all = ask(&query, v1::GetCoverageRequest::default()).await;
    let (mut told, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::GetCoverageRequest {
            page_size: 3,
            page_token: token,
            ..Default::default()
        };
        let page = ask(&query, request).await;
        assert!(page.rows.len() <= 3);
        assert_eq!(page.totals, all.totals);
        told.extend(shown(&page));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((told.len(), &told), (8, &shown(&all)));
    let totals: Vec<_> = all
        .totals
        .iter()
        .map(|total| format!("{} {} {}", total.agent, total.status, total.nodes))
        .collect();
    assert_eq!(
        totals,
        [
            "b MISSING 3",
            "b UNKNOWN 1",
            "falcon NATIVE 3",
            "falcon UNKNOWN 1"
        ]
    );
    let policy = all.policy.expect("one");
    assert_eq!((policy.source.as_str(), policy.agents), ("policy.yaml", 2));
    assert_eq!(policy.problem, "a problem");
    assert_eq!(all.coverage.expect("coverage").unknown, 1);
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let none = v1::GetCoverageRequest::default;
    for (request, expected) in [
        (
            v1::GetCoverageRequest {
                agents: words(&["f*"]),
                nodes: words(&["n1", "n4"]),
                ..none()
            },
            &["falcon n1 NATIVE", "falcon n4 UNKNOWN"][..],
        ),
        // Nobody knows what n4 is.
        (
            v1::GetCoverageRequest {
                node_archs: words(&["arm64"]),
                ..none()
            },
            &["b n4 UNKNOWN", "falcon n4 UNKNOWN"],
        ),
        (
            v1::GetCoverageRequest {
                statuses: words(&["NATIVE"]),
                nodes: words(&["n3"]),
                ..none()
            },
            &["falcon n3 NATIVE"],
        ),
        (
            v1::GetCoverageRequest {
                clusters: words(&["d"]),
                agents: words(&["b"]),
                ..none()
            },
            &[],
        ),
    ] {
        assert_eq!(
            shown(&ask(&query, request.clone()).await),
            expected,
            "{request:?}"
        );
    }
    for (request, what) in [
        (
            v1::GetCoverageRequest {
                statuses: words(&["native"]),
                ..none()
            },
            "statuses: 'native'",
        ),
        (
            v1::GetCoverageRequest {
                node_archs: words(&["x"]),
                ..none()
            },
            "node_archs: 'x'",
        ),
        (
            v1::GetCoverageRequest {
                page_token: "x".to_owned(),
                ..none()
            },
            "page_token",
        ),
    ] {
        let status = query
            .get_coverage(Request::new(request))
            .await
            .expect_err(what);
        assert!(status.message().contains(what), "{status}");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn without_a_policy_there_is_no_answer() {
    let query = query(&Arc::new(Memory::default()), None);
    let asked = Request::new(v1::GetCoverageRequest::default());
    let status = query.get_coverage(asked).await.expect_err("no policy");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), "nobody is asked for");
}
