//! What Prometheus is told, by a real collector about a real store.

mod scraped;

use std::path::PathBuf;
use std::time::SystemTime;

use archtrace_collector::fleet::Nodes;
use archtrace_export::ocsf::Limits;
use archtrace_facts::fact::{Fact, Mode};
use archtrace_facts::identity::Identity;
use archtrace_facts::report::{Hello, Owner, StateUpdate, UpdateKind};
use archtrace_metrics::read::{families, samples};
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;

use self::scraped::{Scraped, value};
use super::support::{self, Agent, batch, event, fact, hello, key, loss, update};

fn owner(cgroup: &str, workload: &str) -> Owner {
    Owner {
        cgroup: cgroup.to_owned(),
        identity: Identity {
            namespace: "shop".to_owned(),
            pod: "api-1".to_owned(),
            workload: workload.to_owned(),
            ..Identity::default()
        },
    }
}

/// A fact that was never seen before.
fn new(binary: &str, mode: Mode, count: u64) -> Fact {
    let is_emulated = u64::from(mode == Mode::Emulated);
    Fact {
        key: key(binary, mode),
        processes: is_emulated,
        cpu_ns: is_emulated * count * 1_000_000_000,
        first_seen: SystemTime::now(),
        ..fact(binary, count)
    }
}

fn snapshot(epoch: u64, facts: Vec<Fact>) -> StateUpdate {
    StateUpdate {
        epoch,
        owners: vec![owner("/a.slice", "Deployment/api")],
        ..update(UpdateKind::SnapshotEnd, 0, 1, facts)
    }
}

const EXECS: &str = "archtrace_fleet_execs_total";
const CPU: &str = "archtrace_fleet_emulated_cpu_seconds_total";
const API: [(&str, &str); 4] = [
    ("namespace", "shop"),
    ("workload", "Deployment/api"),
    ("mode", "emulated"),
    ("arch", "arm64"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_survive_what_facts_do_not() {
    let scraped = Scraped::start(10_000).await;
    let url = scraped.collector.url();
    scraped
        .until("archtrace_collector_view_current", &[], 1.0)
        .await;
    let (mut agent, _) = Agent::attach(&url, &hello("n1", 1)).await;
    let emulated = |count| new("/app", Mode::Emulated, count);
    let told = vec![emulated(3), new("/sh", Mode::Native, 10)];
    agent.update(&snapshot(1, told)).await.expect("an answer");
    let page = scraped.until(EXECS, &API, 3.0).await;
    assert_eq!(value(&page, CPU, &API), Some(3.0));
    for (name, labels, number) in [
        ("archtrace_fleet_facts", &API[..], 1.0),
        ("archtrace_fleet_pods", &API, 1.0),
        ("archtrace_fleet_processes", &API, 1.0),
        (EXECS, &[("mode", "native")], 10.0),
        ("archtrace_collector_agents", &[], 1.0),
        ("archtrace_collector_connections", &[], 1.0),
        ("archtrace_collector_upserts_total", &[], 2.0),
        (
            "archtrace_fleet_nodes",
            &[("arch", "amd64"), ("state", "reporting")],
            1.0,
        ),
    ] {
        assert_eq!(value(&page, name, labels), Some(number), "{name}\n{page}");
    }
    let delta = StateUpdate {
        upserts: vec![emulated(5)],
        removed: vec![emulated(5).key.id()],
        ..update(UpdateKind::Delta, 1, 2, Vec::new())
    };
    agent.update(&delta).await.expect("an answer");
    let page = scraped.until("archtrace_fleet_facts", &API, 0.0).await;
    assert_eq!(value(&page, EXECS, &API), Some(5.0), "its last numbers");
    assert_eq!(value(&page, CPU, &API), Some(5.0));
    // The agent starts again, and counts from zero.
    drop(agent);
    let again = Hello {
        held: None,
        ..hello("n1", 2)
    };
    let (mut agent, _) = Agent::attach(&url, &again).await;
    let told = vec![new("/other", Mode::Emulated, 2)];
    agent.update(&snapshot(2, told)).await.expect("an answer");
    let page = scraped.until(EXECS, &API, 7.0).await;
    assert_eq!(value(&page, EXECS, &[("mode", "native")]), Some(10.0));
    drop(agent);
    let gone = "archtrace_collector_agents";
    scraped.until(gone, &[], 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_at_the_edge_is_counted() {
    let scraped = Scraped::start(10_000).await;
    let url = scraped.collector.url();
    let (mut agent, _) = Agent::attach(&url, &hello("n1", 1)).await;
    let delta = update(UpdateKind::Delta, 7, 8, vec![fact("/a", 1)]);
    agent.update(&delta).await.expect("a resync");
    let records = vec![event("/a", 1), loss("spool", 4), loss("made_up", 5)];
    agent.events(&batch(0, records)).await.expect("an answer");
    let mut reader = QueryClient::new(support::channel(&url).await);
    let asked = reader.list_facts(v1::ListFactsRequest::default()).await;
    asked.expect("an answer");
    let bad = v1::ListFactsRequest {
        page_size: -1,
        ..Default::default()
    };
    reader.list_facts(bad).await.expect_err("refused");
    agent
        .update(&snapshot(7, Vec::new()))
        .await
        .expect("a resync");
    let page = scraped
        .until("archtrace_collector_resyncs_total", &[], 2.0)
        .await;
    let method = ("method", "archtrace.v1.Query/ListFacts");
    for (name, labels, number) in [
        (
            "archtrace_collector_updates_total",
            &[("kind", "delta"), ("result", "other_revision")][..],
            1.0,
        ),
        ("archtrace_collector_records_total", &[], 3.0),
        ("archtrace_fleet_losses_total", &[("stage", "spool")], 4.0),
        ("archtrace_fleet_losses_total", &[("stage", "other")], 5.0),
        (
            "archtrace_fleet_losses_total",
            &[("stage", "ring_buffer")],
            0.0,
        ),
        ("archtrace_fleet_unexplained_gap", &[], 0.0),
        ("archtrace_collector_throttles_total", &[], 0.0),
        (
            "archtrace_collector_requests_total",
            &[method, ("code", "ok")],
            1.0,
        ),
        (
            "archtrace_collector_requests_total",
            &[method, ("code", "invalid_argument")],
            1.0,
        ),
        ("archtrace_collector_answer_seconds_count", &[method], 2.0),
        (
            "archtrace_collector_commit_seconds_count",
            &[("operation", "events")],
            1.0,
        ),
        (
            "archtrace_collector_refusals_total",
            &[("reason", "node_mismatch")],
            0.0,
        ),
    ] {
        assert_eq!(
            value(&page, name, labels),
            Some(number),
            "{name} {labels:?}\n{page}"
        );
    }
    let used = value(&page, "archtrace_collector_resident_memory_bytes", &[]);
    assert!(used.is_some_and(|bytes| bytes > 1e6), "{used:?}");
    assert!(value(&page, "archtrace_collector_store_bytes", &[]).is_some_and(|bytes| bytes > 0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_workloads_are_no_thousand_series() {
    let scraped = Scraped::start(100).await;
    let (mut agent, _) = Agent::attach(&scraped.collector.url(), &hello("n1", 1)).await;
    let cgroup = |i: usize| format!("/{i}.slice");
    let facts = (0..1000).map(|i| {
        let mode = if i == 999 {
            Mode::Emulated
        } else {
            Mode::Native
        };
        let mut fact = new("/app", mode, 2);
        fact.key.cgroup = cgroup(i);
        fact
    });
    let facts = facts.collect();
    let owners = (0..1000).map(|i| owner(&cgroup(i), &format!("Deployment/{i}")));
    let told = StateUpdate {
        owners: owners.collect(),
        ..snapshot(1, facts)
    };
    agent.update(&told).await.expect("an answer");
    let emulated = [("workload", "Deployment/999")];
    let page = scraped.until("archtrace_fleet_facts", &emulated, 1.0).await;
    let of = |name: &str| {
        let found = samples(&page).filter(|(known, _, _)| known == name);
        found.map(|(_, _, number)| number).collect::<Vec<_>>()
    };
    // 100 series are 20 combinations: 10 native ones, the emulated one, and the others.
    for name in ["archtrace_fleet_facts", EXECS] {
        assert_eq!(of(name).len(), 12, "{page}");
    }
    assert_eq!(of("archtrace_fleet_facts").iter().sum::<f64>(), 1000.0);
    assert_eq!(of(EXECS).iter().sum::<f64>(), 2000.0);
    assert_eq!(of("archtrace_collector_workload_series"), [11.0]);
    assert_eq!(of("archtrace_collector_workload_series_limit"), [20.0]);
    let overflow = of("archtrace_collector_workload_overflow_total");
    assert!(overflow[0] >= 989.0, "{overflow:?}");
    for family in families(&page).values() {
        for label in ["pid", "uid", "pod", "container", "digest", "image", "node"] {
            assert!(!family.labels.contains(label), "{family:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_tell_life_from_readiness() {
    let scraped = Scraped::start(10_000).await;
    scraped
        .until("archtrace_collector_view_current", &[], 1.0)
        .await;
    assert!(scraped.get("/readyz").await.starts_with("HTTP/1.1 200"));
    let (_agent, _) = Agent::attach(&scraped.collector.url(), &hello("n1", 1)).await;
    scraped.collector.shutdown.cancel();
    // An agent that does not leave keeps the collector for as long as this takes.
    let answer = scraped.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("shutting down"), "{answer}");
    assert!(scraped.get("/healthz").await.starts_with("HTTP/1.1 200"));
}

/// Nodes that never reported are told of, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_should_report_are_counted() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "n1\nn2\n").expect("written");
    let scraped = Scraped::start_with(10_000, |settings| {
        settings.nodes = Nodes::File(file.path().to_owned());
    })
    .await;
    let (_agent, _) = Agent::attach(&scraped.collector.url(), &hello("n1", 1)).await;
    let reporting = [("state", "reporting"), ("arch", "amd64")];
    let page = scraped
        .until("archtrace_fleet_nodes", &reporting, 1.0)
        .await;
    let of = |state| value(&page, "archtrace_fleet_nodes", &[("state", state)]);
    assert_eq!((of("unknown"), of("stale")), (Some(1.0), Some(0.0)));
}

/// A policy by which this binary has to run, natively, and one more that nobody has.
fn policy(binary: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("policy.yaml");
    let agent = |name: &str, binary: &str| {
        format!("  - name: {name}\n    match:\n      executable: {binary}\n")
    };
    let agents = [agent("scanner", binary), agent("auditor", "/sbin/auditor")];
    std::fs::write(&path, format!("agents:\n{}", agents.concat())).expect("writes");
    (dir, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mandated_agents_are_counted_by_how_they_are() {
    const MANDATED: &str = "archtrace_fleet_mandated_agents";
    const OUTDATED: &str = "archtrace_fleet_policy_outdated";
    let (_dir, policy) = policy("/app");
    let file = policy.clone();
    let scraped = Scraped::start_with(10_000, |settings| settings.policy = Some(file)).await;
    let (mut agent, _) = Agent::attach(&scraped.collector.url(), &hello("n1", 1)).await;
    let native = new("/app", Mode::Native, 1);
    let told = snapshot(1, vec![native.clone()]);
    agent.update(&told).await.expect("an answer");
    let of = |agent, status| [("agent", agent), ("status", status)];
    let page = scraped.until(MANDATED, &of("scanner", "NATIVE"), 1.0).await;
    for (agent, status, nodes) in [
        ("scanner", "EMULATED", 0.0),
        ("auditor", "MISSING", 1.0),
        ("auditor", "NATIVE", 0.0),
    ] {
        let told = value(&page, MANDATED, &of(agent, status));
        assert_eq!(told, Some(nodes), "{agent} {status}\n{page}");
    }
    assert_eq!(value(&page, OUTDATED, &[]), Some(0.0));
    let delta = StateUpdate {
        upserts: vec![new("/app", Mode::Emulated, 1)],
        removed: vec![native.key.id()],
        ..update(UpdateKind::Delta, 1, 2, Vec::new())
    };
    agent.update(&delta).await.expect("an answer");
    let page = scraped
        .until(MANDATED, &of("scanner", "EMULATED"), 1.0)
        .await;
    assert_eq!(value(&page, MANDATED, &of("scanner", "NATIVE")), Some(0.0));
    std::fs::write(&policy, "agents: 7\n").expect("writes");
    scraped.until(OUTDATED, &[], 1.0).await;
    // Without a policy there is nothing to be counted.
    let none = Scraped::start(10_000).await;
    let page = none
        .until("archtrace_collector_view_current", &[], 1.0)
        .await;
    assert_eq!(value(&page, MANDATED, &[]), None, "{page}");
}

/// What an export could not pass on has a series before there is any of it, for alerts ask how it grows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_exports_could_not_pass_on_is_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let exports = archtrace_collector::exports::Options {
        ocsf: Some((
            dir.path().join("findings.json"),
            Limits {
                bytes: 1 << 20,
                earlier: 1,
            },
        )),
        state: dir.path().to_owned(),
        ..archtrace_collector::exports::Options::default()
    };
    let scraped = Scraped::start_with(10_000, |settings| settings.exports = exports).await;
    for reason in ["export_ocsf_refused", "export_ocsf_skipped"] {
        let name = "archtrace_collector_refusals_total";
        scraped.until(name, &[("reason", reason)], 0.0).await;
    }
}

/// docs/metrics.md names every metric that there is, with what is said of it on the page, and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documents_tell_what_there_is() {
    let (_dir, policy) = policy("/app");
    let scraped = Scraped::start_with(10_000, |settings| settings.policy = Some(policy)).await;
    let (mut agent, _) = Agent::attach(&scraped.collector.url(), &hello("n1", 1)).await;
    let told = vec![new("/app", Mode::Emulated, 1)];
    agent.update(&snapshot(1, told)).await.expect("an answer");
    let page = scraped.until(EXECS, &API, 1.0).await;
    archtrace_metrics::read::compare(&page, "collector");
}
