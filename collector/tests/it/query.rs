//! Questions, over a real socket.

pub(crate) mod fleet;
#[cfg(feature = "kubernetes")]
mod kubernetes;

use std::time::Duration;

use archtrace_facts::report::UpdateKind::SnapshotEnd;
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use tonic::Code;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::support::{Agent, Collector, batch, channel, event, fact, hello, update};

#[tokio::test]
async fn long_answers_come_in_pages() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    let facts = (0..5).map(|i| fact(&format!("/{i}"), 1)).collect();
    agent
        .update(&update(SnapshotEnd, 0, 1, facts))
        .await
        .expect("taken");
    let events = (0..5).map(|i| event("/a", i)).collect();
    agent.events(&batch(0, events)).await.expect("taken");
    let mut query = QueryClient::new(channel(&collector.url()).await);

    let (mut names, mut sizes, mut page_token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let ask = v1::ListFactsRequest {
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = query.list_facts(ask).await.expect("an answer").into_inner();
        sizes.push(page.facts.len());
        names.extend(
            page.facts
                .into_iter()
                .filter_map(|fact| Some(fact.fact?.key?.binary)),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(
        (sizes, names),
        (
            vec![2, 2, 1],
            ["/4", "/3", "/2", "/1", "/0"].map(str::to_owned).to_vec()
        )
    );

    let ask = v1::ListEventsRequest {
        page_size: 5,
        ..Default::default()
    };
    let page = query
        .list_events(ask)
        .await
        .expect("an answer")
        .into_inner();
    let sequences: Vec<_> = page.events.iter().map(|event| event.sequence).collect();
    assert_eq!(
        (sequences, page.next_page_token.as_str()),
        (vec![4, 3, 2, 1, 0], "")
    );
}

#[tokio::test]
async fn bad_questions_are_refused_with_a_reason() {
    let collector = Collector::start().await;
    let mut query = QueryClient::new(channel(&collector.url()).await);
    let filter = |edit: fn(&mut v1::Filter)| {
        let mut filter = v1::Filter::default();
        edit(&mut filter);
        v1::ListFactsRequest {
            selection: Some(v1::Selection {
                allow: vec![filter],
                ..Default::default()
            }),
            ..Default::default()
        }
    };
    for (ask, words) in [
        (
            v1::ListFactsRequest {
                page_size: -1,
                ..Default::default()
            },
            "page_size",
        ),
        (
            v1::ListFactsRequest {
                page_token: "x".to_owned(),
                ..Default::default()
            },
            "from the first page",
        ),
        (
            filter(|filter| filter.archs.push("x86_64".to_owned())),
            "selection.allow[0].archs[0]",
        ),
        (
            filter(|filter| filter.modes.push(77)),
            "selection.allow[0].modes[0]",
        ),
        (
            filter(|filter| filter.nodes = vec![String::new(); 1001]),
            "at most 1000",
        ),
    ] {
        let status = query.list_facts(ask).await.expect_err(words);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(words), "{status}");
    }
    let ask = v1::ListEventsRequest {
        kinds: vec!["explosion".to_owned()],
        ..Default::default()
    };
    let status = query.list_events(ask).await.expect_err("no such kind");
    assert!(
        status.message().contains(
            "'explosion' is no kind of event; the known ones are emulated_exec, failed_exec"
        ),
        "{status}"
    );
}

#[tokio::test]
async fn health_and_reflection_are_served() {
    let collector = Collector::start().await;
    let mut health = HealthClient::new(channel(&collector.url()).await);
    for service in ["", "archtrace.v1.AgentIngest", "archtrace.v1.Query"] {
        let answer = health
            .check(HealthCheckRequest {
                service: service.to_owned(),
            })
            .await;
        let status = answer.expect("known").into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service}");
    }
    let mut reflection = ServerReflectionClient::new(channel(&collector.url()).await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = reflection
        .server_reflection_info(tokio_stream::once(ask))
        .await;
    let mut answers = answers.expect("an answer").into_inner();
    let answer = answers.message().await.expect("an answer").expect("one");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for name in [
        "archtrace.v1.AgentIngest",
        "archtrace.v1.Query",
        "grpc.health.v1.Health",
    ] {
        assert!(
            names.iter().any(|known| known == name),
            "{name} in {names:?}"
        );
    }
}

#[tokio::test]
async fn nodes_and_the_collector_tell_how_they_are() {
    let collector = Collector::with_heartbeat(Duration::from_secs(1)).await;
    let mut query = QueryClient::new(channel(&collector.url()).await);
    // After the connection is there: three heartbeats later the node is stale.
    let (agent, _) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    let mut state = async || {
        let nodes = query
            .list_nodes(v1::ListNodesRequest::default())
            .await
            .expect("an answer");
        let status = query
            .get_server_status(v1::GetServerStatusRequest {})
            .await
            .expect("an answer");
        let status = status.into_inner();
        let state = nodes.into_inner().nodes[0].state();
        (
            state,
            status.nodes_reporting,
            status.nodes_stale,
            status.authenticated,
        )
    };
    assert_eq!(state().await, (v1::NodeState::Reporting, 1, 0, false));
    drop(agent);
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(state().await, (v1::NodeState::Stale, 0, 1, false));
}
