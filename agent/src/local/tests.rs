//! The socket, over an outbox without an agent around it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use archtrace_facts::aggregate::Reading;
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Event, EventKind, FactKey, Loss, Mode, Stage, Via};
use archtrace_facts::fleet::{EventUpdate, FactUpdate};
use archtrace_facts::identity::Identity;
use archtrace_facts::image::Image;
use archtrace_facts::node::{NodeInfo, Preflight};
use archtrace_proto::convert::{decode_event_update, decode_fact_update};
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use archtrace_sink::{Outbox, Queue};
use tonic::transport::{Channel, Endpoint};

use super::{About, Server, start};

/// Generous: the machine may have much else to do.
const SOON: Duration = Duration::from_secs(60);

struct Local {
    outbox: Outbox<u32>,
    server: Option<Server>,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Local {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("agent.sock");
        let outbox = Outbox::new(Preflight::default(), Queue::new(7));
        let server = start(&path, about(), &outbox);
        assert!(server.is_some(), "{:?}", outbox.lock().preflight.missing);
        Self {
            outbox,
            server,
            path,
            _dir: dir,
        }
    }

    async fn client(&self) -> QueryClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("unix://{}", self.path.display()));
        let channel = endpoint.expect("a path").connect().await;
        QueryClient::new(channel.expect("connects"))
    }

    fn count(&self, counter: u32, count: u64, processes: u64) {
        let reading = Reading {
            count,
            cpu_ns: 5,
            processes,
            last: at(count),
        };
        self.outbox.lock().table.read(counter, reading);
    }

    fn name(&self, counter: u32, key: FactKey) {
        let mut contents = self.outbox.lock();
        contents
            .table
            .name(counter, key, at(counter.into()))
            .expect("room");
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + seconds)
}

fn about() -> About {
    About {
        cluster: "c".to_owned(),
        node: NodeInfo {
            kernel_release: "6.1.0".to_owned(),
            page_size: 4096,
            ..NodeInfo::named("n1".to_owned(), Arch::Amd64)
        },
        attached_at: at(0),
    }
}

fn key(cgroup: &str, binary: &str, mode: Mode) -> FactKey {
    FactKey {
        cgroup: cgroup.to_owned(),
        binary: binary.to_owned(),
        path_resolved: true,
        arch: Arch::Arm64,
        mode,
        emulator: (mode == Mode::Emulated).then(|| "/qemu".to_owned()),
        via: (mode == Mode::Emulated).then_some(Via::BinfmtMisc),
        cause: None,
    }
}

fn event(binary: &str, seconds: u64) -> Event {
    Event {
        time: at(seconds),
        kind: EventKind::EmulatedExec,
        pid: 1,
        comm: "sh".to_owned(),
        key: key("/pod", binary, Mode::Emulated),
        errno: 0,
        count: 1,
        instruction: None,
    }
}

fn binaries(facts: &[v1::NodeFact]) -> Vec<&str> {
    let keys = facts
        .iter()
        .filter_map(|fact| fact.fact.as_ref()?.key.as_ref());
    keys.map(|key| key.binary.as_str()).collect()
}

fn everything() -> v1::ListFactsRequest {
    v1::ListFactsRequest::default()
}

#[tokio::test]
async fn every_question_about_the_node_is_answered_without_a_collector() {
    let local = Local::start();
    local.name(1, key("/pod", "/emulated", Mode::Emulated));
    local.name(
        2,
        key("/system.slice/cron.service", "/native", Mode::Native),
    );
    local.count(1, 3, 2);
    {
        let mut contents = local.outbox.lock();
        let identity = Identity {
            pod: "p".to_owned(),
            namespace: "pay".to_owned(),
            ..Identity::default()
        };
        contents.owners.set("/pod", identity).expect("room");
        contents
            .owners
            .set_image(Image {
                id: "sha256:1".to_owned(),
                names: vec!["app:1".to_owned()],
                arch: Some(Arch::Arm64),
                os: String::new(),
                variant: String::new(),
                audit: None,
            })
            .expect("room");
        contents.push_event(event("/emulated", 5));
        contents.push_loss(Loss {
            stage: Stage::RingBuffer,
            count: 9,
            since: at(6),
            until: at(7),
        });
    }
    let mut client = local.client().await;
    let facts = client
        .list_facts(everything())
        .await
        .expect("answers")
        .into_inner();
    assert_eq!(
        binaries(&facts.facts),
        ["/native", "/emulated"],
        "newest first"
    );
    let emulated = &facts.facts[1];
    let identity = emulated.identity.as_ref().expect("known");
    assert_eq!((&*emulated.node, &*identity.pod), ("n1", "p"));
    let unit = facts.facts[0]
        .identity
        .as_ref()
        .map(|identity| &*identity.unit);
    assert_eq!(unit, Some("cron.service"), "as the path says");
    let coverage = facts.coverage.expect("told");
    assert_eq!((coverage.reporting, coverage.stale), (1, 0));
    let events = client.list_events(v1::ListEventsRequest::default()).await;
    let events = events.expect("answers").into_inner().events;
    assert_eq!(events.len(), 2);
    let summary = v1::SummarizeFactsRequest {
        group_by: vec![v1::Dimension::Mode.into()],
        ..v1::SummarizeFactsRequest::default()
    };
    let summary = client
        .summarize_facts(summary)
        .await
        .expect("answers")
        .into_inner();
    let mut modes: Vec<_> = summary
        .rows
        .iter()
        .map(|row| (&*row.values[0], row.facts))
        .collect();
    modes.sort_unstable();
    assert_eq!(modes, [("emulated", 1), ("native", 1)]);
    let findings = client
        .list_findings(v1::ListFindingsRequest::default())
        .await;
    let findings = findings.expect("answers").into_inner().findings;
    assert!(
        findings
            .iter()
            .any(|finding| finding.id == "emulated-process"),
        "{findings:?}"
    );
    let images = client.list_images(v1::ListImagesRequest::default()).await;
    assert_eq!(images.expect("answers").into_inner().images.len(), 1);
    let nodes = client.list_nodes(v1::ListNodesRequest::default()).await;
    let nodes = nodes.expect("answers").into_inner().nodes;
    assert_eq!(
        (nodes.len(), nodes[0].facts, nodes[0].emulated_processes),
        (1, 2, 2)
    );
    assert_eq!(
        (nodes[0].losses[0].count, nodes[0].losses[0].records),
        (9, 1)
    );
    let status = client
        .get_server_status(v1::GetServerStatusRequest {})
        .await;
    let status = status.expect("answers").into_inner();
    assert_eq!((status.nodes_reporting, status.events), (1, 1));
    let request = v1::VerifyPodsRequest {
        namespace: "pay".to_owned(),
        arch: "amd64".to_owned(),
        ..v1::VerifyPodsRequest::default()
    };
    let verified = client.verify_pods(request).await.expect("answers");
    let verified = verified.into_inner().message().await.expect("no error");
    let verified = verified.expect("an answer");
    assert_eq!((&*verified.verdict, verified.ended), ("not_native", true));
    let coverage = client.get_coverage(v1::GetCoverageRequest::default()).await;
    let refused = coverage.expect_err("that is for a collector");
    assert!(refused.message().contains("--server URL"), "{refused}");
}

#[tokio::test]
async fn pages_stay_as_they_are_while_facts_come_and_change() {
    let local = Local::start();
    for counter in 0..5 {
        local.name(counter, key("/pod", &format!("/{counter}"), Mode::Native));
    }
    let mut client = local.client().await;
    let mut told = Vec::new();
    let mut page_token = String::new();
    let mut counter = 10;
    loop {
        let request = v1::ListFactsRequest {
            page_size: 2,
            page_token,
            ..everything()
        };
        let page = client
            .list_facts(request)
            .await
            .expect("answers")
            .into_inner();
        told.extend(binaries(&page.facts).into_iter().map(str::to_owned));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        local.name(counter, key("/pod", &format!("/{counter}"), Mode::Native));
        local.count(counter % 5, 9, 0);
        counter += 1;
    }
    assert_eq!(told, ["/4", "/3", "/2", "/1", "/0"]);
}

#[tokio::test]
async fn who_follows_is_told_what_changes() {
    let local = Local::start();
    local.name(1, key("/pod", "/a", Mode::Emulated));
    local.outbox.lock().push_event(event("/a", 1));
    let mut client = local.client().await;
    let watched = client.watch_facts(v1::WatchFactsRequest::default()).await;
    let mut facts = watched.expect("answers").into_inner();
    let request = v1::StreamEventsRequest {
        since: Some(at(0).into()),
        follow: true,
        ..v1::StreamEventsRequest::default()
    };
    let mut events = client
        .stream_events(request)
        .await
        .expect("answers")
        .into_inner();
    let mut told = Vec::new();
    let steps: [fn(&Local); 5] = [
        |_| {},
        |local| local.count(1, 2, 1),
        |local| {
            let identity = Identity {
                pod: "named-late".to_owned(),
                ..Identity::default()
            };
            let mut contents = local.outbox.lock();
            contents.owners.set("/pod", identity).expect("room");
        },
        |local| local.outbox.lock().table.forget(1),
        |_| {},
    ];
    let mut steps = steps.into_iter();
    while told.last().is_none_or(|last| last != "- ") {
        let message = tokio::time::timeout(SOON, facts.message()).await;
        let message = message
            .expect("in time")
            .expect("goes on")
            .expect("goes on");
        let line = match decode_fact_update(message).expect("well formed") {
            Some(FactUpdate::Upsert(fact)) => {
                format!(
                    "{} {} {}",
                    fact.fact.key.binary, fact.fact.count, fact.identity.pod
                )
            }
            Some(FactUpdate::Removed(_)) => "- ".to_owned(),
            Some(FactUpdate::SnapshotEnd(count)) => format!("end {count}"),
            Some(FactUpdate::SnapshotBegin(_) | FactUpdate::Coverage(_)) | None => continue,
        };
        told.push(line);
        if let Some(step) = steps.next() {
            step(&local);
        }
    }
    assert_eq!(told, ["/a 0 ", "end 1", "/a 2 ", "/a 2 named-late", "- "]);
    let mut happened = Vec::new();
    while happened.len() < 2 {
        let message = tokio::time::timeout(SOON, events.message()).await;
        let message = message
            .expect("in time")
            .expect("goes on")
            .expect("goes on");
        if let Some(EventUpdate::Event(event)) = decode_event_update(message).expect("well formed")
        {
            happened.push(event.sequence);
            local.outbox.lock().push_event(event_later());
        }
    }
    assert_eq!(happened, [0, 1]);
}

fn event_later() -> Event {
    event("/b", 2)
}

#[tokio::test]
async fn the_end_is_prompt_and_leaves_nothing_though_somebody_follows() {
    let mut local = Local::start();
    let mut client = local.client().await;
    let watched = client.watch_facts(v1::WatchFactsRequest::default()).await;
    let mut facts = watched.expect("answers").into_inner();
    drop(local.server.take());
    assert!(!local.path.exists());
    let ended = async { while let Ok(Some(_)) = facts.message().await {} };
    tokio::time::timeout(SOON, ended).await.expect("ends");
}

#[test]
fn a_socket_that_cannot_be_made_is_told() {
    let outbox = Outbox::<u32>::new(Preflight::default(), Queue::new(7));
    let path = PathBuf::from("/proc/no/agent.sock");
    assert!(start(&path, about(), &outbox).is_none());
    let missing = outbox.lock().preflight.missing.clone();
    assert!(
        missing.len() == 1 && missing[0].contains("/proc/no/agent.sock"),
        "{missing:?}"
    );
}
