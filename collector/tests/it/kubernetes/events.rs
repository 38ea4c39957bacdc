//! Events about what happened in pods.

use std::time::{Duration, SystemTime};

use archtrace_facts::fact::{Event, EventKind, Mode};
use archtrace_facts::report::{EventBatch, Record};
use archtrace_proto::v1;

use super::super::support::{Agent, batch, illegal, key};
use super::agent;
use super::program::{Program, until};
use super::server::{Answer, JOBS, PODS, SETS, Server};

const OPTIONS: &[&str] = &["--kubernetes-events"];

/// Something that happened just now in a pod, of which the agent has seen so many.
fn happened(kind: EventKind, pod: &str, errno: i32, count: u64) -> Record {
    let mode = match kind {
        EventKind::EmulatedExec => Mode::Emulated,
        EventKind::FailedExec => Mode::Failed,
        EventKind::IllegalInstruction => Mode::Native,
    };
    let mut key = key("/app/hsm", mode);
    key.cgroup = format!("/kubepods/{pod}");
    Record::Event(Event {
        time: SystemTime::now(),
        kind,
        pid: 42,
        comm: "a-secret-comm".to_owned(),
        key,
        errno,
        count,
        instruction: None,
    })
}

fn emulated(pod: &str, count: u64) -> Record {
    happened(EventKind::EmulatedExec, pod, 0, count)
}

fn at(first: u64, records: Vec<Record>) -> EventBatch {
    batch(first, records)
}

async fn tell(agent: &mut Agent, first: u64, records: Vec<Record>) {
    agent.events(&at(first, records)).await.expect("taken");
}

/// Until the program has looked at the store, and tells what comes from then on.
async fn started(program: &Program) {
    until("it reads events", || {
        !program
            .logged("exports what happens from now on")
            .is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_in_a_pod_is_told_once_by_however_many() {
    let server = Server::start(&[]).await;
    let programs = [
        Program::start(&server.address, OPTIONS),
        Program::start(&server.address, OPTIONS),
    ];
    for (program, count) in programs.iter().zip([7, 9]) {
        started(program).await;
        let mut agent = agent(&program.url, &[("api-1", 1), ("web-1", 2)]).await;
        let records = vec![
            emulated("api-1", count),
            // The same again, which an Event says already.
            emulated("api-1", count + 1),
            happened(EventKind::FailedExec, "api-1", 8, 1),
            // A file that is not there is no matter of architectures.
            happened(EventKind::FailedExec, "api-1", 2, 1),
            happened(EventKind::IllegalInstruction, "web-1", 0, 3),
            // Of the node itself; and of long ago.
            illegal("/usr/bin/host", 1, None),
        ];
        tell(&mut agent, 0, records).await;
        let writes = if count == 7 { 1 } else { 2 };
        until("all are written", || {
            let events = server.events();
            events.len() == 3 && events.values().all(|(_, count)| *count == writes)
        })
        .await;
    }
    let events = server.events();
    let mut told: Vec<_> = events
        .values()
        .map(|(event, _)| {
            let word = |path: &str| {
                event
                    .pointer(path)
                    .and_then(|word| word.as_str())
                    .unwrap_or("")
            };
            assert_eq!(word("/type"), "Warning");
            assert_eq!(word("/involvedObject/kind"), "Pod");
            assert_eq!(word("/involvedObject/namespace"), "pay");
            assert_eq!(word("/source/component"), "archtrace-collector");
            assert!(word("/involvedObject/uid").starts_with("6f2a5f0e-"));
            assert!(word("/lastTimestamp").ends_with('Z'));
            let message = word("/message");
            assert!(
                message.starts_with("container main: /app/hsm: "),
                "{message}"
            );
            assert!(!event.to_string().contains("secret"), "{event}");
            let count = event["count"].as_u64().unwrap_or(0);
            format!(
                "{} {} {count}",
                word("/involvedObject/name"),
                word("/reason")
            )
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "api-1 EmulatedExec 9",
            "api-1 ExecFormatError 1",
            "web-1 IllegalInstruction 3"
        ]
    );
    assert!(
        server.asked().iter().all(|asked| asked.method != "GET"),
        "events are all that it asked for"
    );
}

/// An API server that is away, forbids, and has lost the namespace: what is lost is counted, and agents
/// notice nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_is_tried_again_or_counted() {
    let server = Server::start(&[]).await;
    for (code, reason) in [
        (503, "ServiceUnavailable"),
        (500, "InternalError"),
        (404, "NotFound"),
    ] {
        server.refuse(code, reason);
    }
    let program = Program::start(&server.address, OPTIONS);
    started(&program).await;
    let mut agent = agent(&program.url, &[("api-1", 1)]).await;
    // The first waits out what passes, and then has no namespace. The second is written.
    let told = vec![
        emulated("api-1", 1),
        happened(EventKind::FailedExec, "api-1", 8, 1),
    ];
    tell(&mut agent, 0, told).await;
    until("the second is written", || server.events().len() == 1).await;
    let said = program.logged("is away; Events wait a while");
    assert_eq!(said.len(), 2, "{said:#?}");
    server.refuse(403, "Forbidden");
    tell(
        &mut agent,
        2,
        vec![happened(EventKind::IllegalInstruction, "api-1", 0, 1)],
    )
    .await;
    until("it is said", || {
        !program.logged("verbs [create, patch]").is_empty()
    })
    .await;
    // A name that nobody tells, of a pod that is known to be one.
    let mut nameless = emulated("x", 1);
    if let Record::Event(event) = &mut nameless {
        event.key.cgroup = "/kubepods/pod2b1a1b6e-8d3e-4c57-9a4f-0e5d2c1b3a49/x".to_owned();
        event.time = SystemTime::now() - Duration::from_secs(60);
    }
    let mut old = emulated("api-1", 5);
    if let Record::Event(event) = &mut old {
        event.time = SystemTime::now() - Duration::from_secs(2 * 3600);
    }
    tell(&mut agent, 3, vec![nameless, old]).await;
    let mut query = program.query().await;
    let mut known = Vec::new();
    let expected = ["forbidden", "gone", "no_name", "old"];
    for _ in 0..100 {
        let ask = v1::GetServerStatusRequest::default();
        let status = query.get_server_status(ask).await.expect("an answer");
        let refusals = status.into_inner().refusals.into_iter();
        let dropped = refusals.filter_map(|refusal| {
            let why = refusal
                .reason
                .strip_prefix("kubernetes_events_dropped_")?
                .to_owned();
            Some((why, refusal.count))
        });
        known = dropped.collect();
        known.sort();
        if known.len() == expected.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(known, expected.map(|why| (why.to_owned(), 1)));
}

/// A name that comes after what happened is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_comes_late_is_waited_for() {
    let server = Server::start(&[]).await;
    let program = Program::start(&server.address, OPTIONS);
    started(&program).await;
    let mut agent = agent(&program.url, &[]).await;
    let uid = "6f2a5f0e-4c1c-4f5e-9d0e-000000000001";
    let cgroup = format!("/kubepods/pod{uid}/x");
    let mut told = emulated("x", 1);
    if let Record::Event(event) = &mut told {
        event.key.cgroup.clone_from(&cgroup);
    }
    tell(&mut agent, 0, vec![told]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(server.events().is_empty(), "nobody knows the pod");
    let (_, mut owner) = super::pod("api-1", 1);
    owner.cgroup = cgroup;
    let named = archtrace_facts::report::StateUpdate {
        owners: vec![owner],
        ..super::update(archtrace_facts::report::UpdateKind::Delta, 1, 2, Vec::new())
    };
    agent.update(&named).await.expect("taken");
    until("it is written", || server.events().len() == 1).await;
    assert!(program.logged("not taken").is_empty(), "nothing is wrong");
}

/// An agent may name any pod, but the API knows which there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_the_api_does_not_know_have_no_events() {
    let sets: &[Answer] = &[Answer::List("replicasets-2.json"), Answer::Quiet];
    let jobs: &[Answer] = &[Answer::List("jobs.json"), Answer::Quiet];
    let pods: &[Answer] = &[Answer::List("pods-2.json"), Answer::Quiet];
    let server = Server::start(&[(SETS, sets), (JOBS, jobs), (PODS, pods)]).await;
    let program = Program::start(
        &server.address,
        &["--kubernetes-events", "--kubernetes-pods"],
    );
    started(&program).await;
    until("all pods are read", || {
        !program.logged("names of workloads come").is_empty()
    })
    .await;
    let mut agent = agent(&program.url, &[("made-up", 77), ("nightly-1-abcde", 2)]).await;
    let told = vec![emulated("made-up", 1), emulated("nightly-1-abcde", 1)];
    tell(&mut agent, 0, told).await;
    until("it is written", || server.events().len() == 1).await;
    let names: Vec<_> = server.events().into_keys().collect();
    assert!(names[0].starts_with("pay/nightly-1-abcde."), "{names:?}");
}
