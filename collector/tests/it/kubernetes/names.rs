//! What pods belong to.

use std::time::Duration;

use archtrace_proto::v1;
use tokio::time::timeout;

use super::agent;
use super::program::{Program, until};
use super::server::{Answer, JOBS, PODS, SETS, Server};

const OPTIONS: &[&str] = &["--kubernetes-pods"];

/// All controllers, in pages.
const CONTROLLERS: [(&str, &[Answer]); 2] = [
    (
        SETS,
        &[
            Answer::List("replicasets-1.json"),
            Answer::List("replicasets-2.json"),
            Answer::Quiet,
        ],
    ),
    (JOBS, &[Answer::List("jobs.json"), Answer::Quiet]),
];

async fn server(pods: &'static [Answer]) -> Server {
    let [sets, jobs] = CONTROLLERS;
    Server::start(&[sets, jobs, (PODS, pods)]).await
}

const FIRST: [Answer; 2] = [Answer::List("pods-1.json"), Answer::List("pods-2.json")];

/// Names that come before an agent tells of a pod, and after; wherever they are asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workloads_come_from_the_api_wherever_they_are_asked_for() {
    const PODS_TOLD: &[Answer] = &[FIRST[0], FIRST[1], Answer::Watch("watch-late.jsonl")];
    let server = server(PODS_TOLD).await;
    let program = Program::start(&server.address, OPTIONS);
    until("all pods are read", || {
        !program.logged("names of workloads come").is_empty()
    })
    .await;
    let told = [
        ("api-7c9-x2k4z", 1),
        ("nightly-1-abcde", 2),
        ("late-0", 4),
        ("alone", 9),
    ];
    let told_by = agent(&program.url, &told).await;
    // These were known when they were told of.
    program
        .until_named(&[
            "alone Pod/alone",
            "api-7c9-x2k4z Deployment/api",
            "late-0 Pod/late-0",
            "nightly-1-abcde CronJob/nightly",
        ])
        .await;
    let mut query = program.query().await;
    let watch = v1::WatchFactsRequest::default();
    let mut changes = query
        .watch_facts(watch)
        .await
        .expect("answers")
        .into_inner();
    server.go();
    program
        .until_named(&[
            "alone Pod/alone",
            "api-7c9-x2k4z Deployment/api",
            "late-0 Workflow/late",
            "nightly-1-abcde CronJob/nightly",
        ])
        .await;
    // Who follows was told; sums and filters say the same.
    let heard = async {
        while let Some(change) = changes.message().await.expect("goes on") {
            if format!("{change:?}").contains("Workflow/late") {
                return;
            }
        }
    };
    timeout(Duration::from_secs(30), heard).await.expect("told");
    let ask = v1::SummarizeFactsRequest {
        group_by: vec![v1::Dimension::Workload.into()],
        ..Default::default()
    };
    let sums = query
        .summarize_facts(ask)
        .await
        .expect("an answer")
        .into_inner();
    let mut rows: Vec<_> = sums.rows.into_iter().flat_map(|row| row.values).collect();
    rows.sort();
    let expected = [
        "CronJob/nightly",
        "Deployment/api",
        "Pod/alone",
        "Workflow/late",
    ];
    assert_eq!(rows, expected);
    let ask = v1::GetCostRequest {
        group_by: vec![v1::CostDimension::Workload.into()],
        ..Default::default()
    };
    let cost = query.get_cost(ask).await.expect("an answer").into_inner();
    let mut rows: Vec<_> = cost.rows.into_iter().flat_map(|row| row.values).collect();
    rows.sort();
    assert_eq!(rows, expected);
    let matrix = query.get_matrix(v1::GetMatrixRequest::default()).await;
    let matrix = matrix.expect("an answer").into_inner();
    let mut rows: Vec<_> = matrix
        .workloads
        .into_iter()
        .map(|row| row.workload)
        .collect();
    rows.sort();
    assert_eq!(rows, expected);
    let filter = v1::Filter {
        workloads: vec!["Workflow/*".to_owned()],
        ..Default::default()
    };
    let ask = v1::ListFactsRequest {
        selection: Some(v1::Selection {
            allow: vec![filter],
            ..Default::default()
        }),
        ..Default::default()
    };
    let facts = query.list_facts(ask).await.expect("an answer").into_inner();
    assert_eq!(facts.facts.len(), 1);
    // The agent tells it all once more: it does not know better.
    drop(told_by);
    let _again = agent(&program.url, &told).await;
    program
        .until_named(&[
            "alone Pod/alone",
            "api-7c9-x2k4z Deployment/api",
            "late-0 Workflow/late",
            "nightly-1-abcde CronJob/nightly",
        ])
        .await;
    let asked = server.asked();
    let is_metadata = |accept: &str| accept.contains("as=PartialObjectMetadata");
    assert!(
        asked.iter().all(|asked| is_metadata(&asked.accept)),
        "{asked:#?}"
    );
    for (path, token, version) in [(SETS, "more-sets", "5"), (PODS, "more-pods", "10")] {
        let asked = server.asked_of(path);
        assert!(asked[0].query.contains("limit=500"), "{asked:#?}");
        assert!(
            asked[1].query.contains(&format!("continue={token}")),
            "{asked:#?}"
        );
        let watch = &asked[2].query;
        for part in ["watch=true", "allowWatchBookmarks=true"] {
            assert!(watch.contains(part), "{watch}");
        }
        assert!(
            watch.contains(&format!("resourceVersion={version}")),
            "{watch}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_breaks_off_goes_on_from_where_it_was() {
    const PODS_TOLD: &[Answer] = &[
        FIRST[0],
        FIRST[1],
        // In the middle of a line, and then in good order.
        Answer::Cut("watch-cut.jsonl"),
        Answer::Ended("watch-late.jsonl"),
        Answer::Quiet,
    ];
    let server = server(PODS_TOLD).await;
    let program = Program::start(&server.address, OPTIONS);
    let _agent = agent(&program.url, &[("db-0", 3), ("late-0", 4)]).await;
    program
        .until_named(&["db-0 StatefulSet/db", "late-0 Workflow/late"])
        .await;
    until("it watches again", || server.asked_of(PODS).len() >= 5).await;
    let asked = server.asked_of(PODS);
    let versions = asked
        .iter()
        .filter(|asked| asked.query.contains("watch=true"));
    let versions: Vec<_> = versions
        .filter_map(|asked| asked.query.split("resourceVersion=").nth(1))
        .map(|rest| rest.split('&').next().unwrap_or_default().to_owned())
        .collect();
    // The last bookmark's; and that of what came after the older one.
    assert_eq!(versions[..3], ["10", "20", "13"], "{asked:#?}");
}

/// Once in the stream, and once as the status of the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_too_old_is_a_reason_to_read_all_again() {
    const PODS_TOLD: &[Answer] = &[
        FIRST[0],
        FIRST[1],
        Answer::Ended("watch-gone.jsonl"),
        Answer::List("pods-again.json"),
        Answer::Status(410, "Expired"),
        Answer::List("pods-last.json"),
        Answer::Quiet,
    ];
    let server = server(PODS_TOLD).await;
    let program = Program::start(&server.address, OPTIONS);
    let told = [("api-7c9-x2k4z", 1), ("db-0", 3), ("late-0", 4)];
    let _agent = agent(&program.url, &told).await;
    program
        .until_named(&[
            "api-7c9-x2k4z Deployment/api",
            "db-0 StatefulSet/db",
            "late-0 Workflow/late",
        ])
        .await;
    until("it watches again", || server.asked_of(PODS).len() >= 7).await;
    let asked = server.asked_of(PODS);
    let lists = asked
        .iter()
        .filter(|asked| !asked.query.contains("watch=true"));
    assert_eq!(lists.count(), 4, "{asked:#?}");
    assert!(asked[6].query.contains("resourceVersion=60"), "{asked:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_is_away_is_waited_for_and_said_once() {
    // A port that nobody listens on for a while.
    let place = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = place.local_addr().expect("bound").to_string();
    drop(place);
    let program = Program::start(&address, OPTIONS);
    let _agent = agent(&program.url, &[("api-7c9-x2k4z", 1)]).await;
    program
        .until_named(&["api-7c9-x2k4z Pod/api-7c9-x2k4z"])
        .await;
    until("it is said", || {
        !program.logged("cannot watch replicasets").is_empty()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for resource in ["replicasets", "jobs"] {
        let said = program.logged(&format!("cannot watch {resource}"));
        assert_eq!(said.len(), 1, "{said:#?}");
    }
    let [sets, jobs] = CONTROLLERS;
    let pods: &[Answer] = &[FIRST[0], FIRST[1], Answer::Quiet];
    let _server = Server::start_at(&address, &[sets, jobs, (PODS, pods)]).await;
    program.until_named(&["api-7c9-x2k4z Deployment/api"]).await;
    assert_eq!(program.logged("tells of replicasets again").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_missing_is_named_and_labels_count_until_it_is_there() {
    let sets: &[Answer] = &[
        Answer::Status(403, "Forbidden"),
        Answer::Status(403, "Forbidden"),
        Answer::List("replicasets-2.json"),
        Answer::Quiet,
    ];
    let jobs: &[Answer] = &[Answer::List("jobs.json"), Answer::Quiet];
    let pods: &[Answer] = &[FIRST[0], FIRST[1], Answer::Quiet];
    let server = Server::start(&[(SETS, sets), (JOBS, jobs), (PODS, pods)]).await;
    let program = Program::start(&server.address, OPTIONS);
    until("it is said", || {
        !program.logged("does not let us watch").is_empty()
    })
    .await;
    let said = program.logged("does not let us watch");
    assert_eq!(said.len(), 1, "{said:#?}");
    for words in [
        "apiGroups [\"apps\"]",
        "resources [replicasets]",
        "verbs [list, watch]",
    ] {
        assert!(said[0].contains(words), "{said:#?}");
    }
    assert!(
        program.logged("kube_runtime").is_empty(),
        "it is said twice"
    );
    let _agent = agent(&program.url, &[("api-7c9-x2k4z", 1)]).await;
    program.until_named(&["api-7c9-x2k4z Deployment/api"]).await;
}
