//! The protocol, over a real socket.

use std::time::Duration;

use archtrace_facts::report::UpdateKind::{Delta, SnapshotChunk, SnapshotEnd};
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use tonic::{Code, Status};

use super::support::{Agent, Collector, ack, batch, channel, event, fact, hello, loss, update};

fn refused(answer: Result<Response, Status>, code: Code, words: &str) {
    let status = answer.expect_err(words);
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(words), "{status}");
}

fn resync(answer: Result<Response, Status>, words: &str) {
    match answer.expect("an answer") {
        Response::Resync(v1::Resync { reason }) if reason.contains(words) => {}
        other => panic!("{other:?} instead of a Resync because of '{words}'"),
    }
}

/// Binaries and counts of all facts.
async fn known(collector: &Collector) -> Vec<(String, u64)> {
    let mut query = QueryClient::new(channel(&collector.url()).await);
    let facts = query
        .list_facts(v1::ListFactsRequest::default())
        .await
        .expect("an answer");
    let fact = |fact: v1::NodeFact| {
        fact.fact
            .and_then(|fact| Some((fact.key?.binary, fact.count)))
    };
    facts
        .into_inner()
        .facts
        .into_iter()
        .filter_map(fact)
        .collect()
}

#[tokio::test]
async fn facts_and_events_are_acknowledged() {
    let collector = Collector::start().await;
    let (mut agent, welcome) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    assert_eq!(
        (welcome.max_message_bytes, welcome.next_sequence),
        (1 << 20, 0)
    );
    let heartbeat = welcome.heartbeat_interval.map(|interval| interval.seconds);
    assert_eq!(heartbeat, Some(10));
    let chunk = update(SnapshotChunk, 0, 3, vec![fact("/a", 1), fact("/b", 2)]);
    assert_eq!(agent.update(&chunk).await.expect("taken"), ack(0, 0));
    assert_eq!(known(&collector).await, [], "not before the end");
    let end = update(SnapshotEnd, 0, 3, vec![fact("/c", 3)]);
    assert_eq!(agent.update(&end).await.expect("taken"), ack(3, 0));
    let all = [("/c", 3), ("/b", 2), ("/a", 1)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(known(&collector).await, all);
    let delta = update(Delta, 3, 4, vec![fact("/a", 9)]);
    assert_eq!(agent.update(&delta).await.expect("taken"), ack(4, 0));
    let events = batch(0, vec![event("/a", 1), loss("ring_buffer", 2)]);
    for _ in 0..2 {
        assert_eq!(agent.events(&events).await.expect("taken"), ack(4, 2));
    }
    let beat = v1::Heartbeat {
        revision: 4,
        next_sequence: 2,
        ..v1::Heartbeat::default()
    };
    assert_eq!(
        agent.ask(Request::Heartbeat(beat)).await.expect("taken"),
        ack(4, 2)
    );
    drop(agent);
    let (_, welcome) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    assert_eq!(welcome.next_sequence, 2, "nothing has to be sent again");
}

#[tokio::test]
async fn a_cause_of_a_newer_agent_holds_nothing_up() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    let mut newer: v1::StateUpdate = (&update(SnapshotEnd, 0, 1, vec![fact("/a", 1)])).into();
    newer.upserts[0].id = vec![7; 16];
    if let Some(key) = &mut newer.upserts[0].key {
        (key.mode, key.cause) = (v1::ExecutionMode::Failed.into(), 999);
    }
    let key = newer.upserts[0].key.clone();
    assert_eq!(
        agent.ask(Request::State(newer)).await.expect("taken"),
        ack(1, 0)
    );
    assert_eq!(known(&collector).await, [("/a".to_owned(), 1)]);
    let mut newer: v1::EventBatch = (&batch(0, vec![event("/a", 1)])).into();
    if let Some(v1::event_record::Record::Event(event)) = &mut newer.records[0].record {
        event.key = key;
    }
    assert_eq!(
        agent.ask(Request::Events(newer)).await.expect("taken"),
        ack(1, 1)
    );
}

#[tokio::test]
async fn what_does_not_fit_is_asked_for_again() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    resync(
        agent
            .update(&update(Delta, 0, 1, vec![fact("/a", 1)]))
            .await,
        "no snapshot",
    );
    let mut other = update(SnapshotEnd, 0, 1, vec![fact("/a", 1)]);
    other.epoch = 2;
    resync(agent.update(&other).await, "another epoch than Hello");
    agent
        .update(&update(SnapshotChunk, 0, 5, vec![fact("/a", 1)]))
        .await
        .expect("taken");
    resync(
        agent.update(&update(SnapshotEnd, 0, 6, Vec::new())).await,
        "began at 5",
    );
    agent
        .update(&update(SnapshotChunk, 0, 7, vec![fact("/a", 1)]))
        .await
        .expect("taken");
    agent
        .update(&update(SnapshotChunk, 0, 8, vec![fact("/b", 1)]))
        .await
        .expect("taken");
    agent
        .update(&update(SnapshotEnd, 0, 8, Vec::new()))
        .await
        .expect("taken");
    assert_eq!(
        known(&collector).await,
        [("/b".to_owned(), 1)],
        "the last one that was begun"
    );
    resync(
        agent.update(&update(Delta, 7, 9, Vec::new())).await,
        "revision 8 is stored",
    );
}

#[tokio::test]
async fn rules_are_enforced() {
    let collector = Collector::start().await;
    let url = collector.url();
    let beat = || Request::Heartbeat(v1::Heartbeat::default());
    let first = Agent::open(&url).await.ask(beat()).await;
    refused(
        first,
        Code::InvalidArgument,
        "the first message has to be Hello",
    );
    let anonymous = Agent::open(&url)
        .await
        .ask(Request::Hello(v1::Hello::default()))
        .await;
    refused(anonymous, Code::InvalidArgument, "hello.event_stream_id");
    let mut far = hello("n", 1);
    far.oldest_sequence = u64::MAX;
    let far = Agent::open(&url)
        .await
        .ask(Request::Hello((&far).into()))
        .await;
    refused(far, Code::InvalidArgument, "hello.oldest_sequence");

    let attach = async || Agent::attach(&url, &hello("n", 1)).await.0;
    let twice = attach()
        .await
        .ask(Request::Hello((&hello("n", 1)).into()))
        .await;
    refused(twice, Code::InvalidArgument, "said already");
    let mut other = batch(0, vec![event("/a", 1)]);
    other.stream_id = 1;
    refused(
        attach().await.events(&other).await,
        Code::InvalidArgument,
        "events.stream_id",
    );
    let end = batch(u64::MAX, vec![event("/a", 1)]);
    refused(
        attach().await.events(&end).await,
        Code::InvalidArgument,
        "too large",
    );
    let mut wrong: v1::StateUpdate = (&update(Delta, 0, 1, vec![fact("/a", 1)])).into();
    wrong.upserts[0].id[0] ^= 1;
    let wrong = attach().await.ask(Request::State(wrong)).await;
    refused(wrong, Code::InvalidArgument, "state.upserts[0].id");
    let empty = v1::EventBatch {
        stream_id: 1,
        first_sequence: 0,
        records: vec![v1::EventRecord { record: None }],
    };
    let empty = attach().await.ask(Request::Events(empty)).await;
    refused(
        empty,
        Code::InvalidArgument,
        "events.records[0].record: is missing",
    );
    let large = update(Delta, 0, 1, vec![fact(&"x".repeat(1 << 20), 1)]);
    refused(
        attach().await.update(&large).await,
        Code::OutOfRange,
        "too large",
    );
}

#[tokio::test]
async fn the_newest_stream_of_a_node_speaks() {
    let collector = Collector::start().await;
    let (mut older, _) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    let (_other, _) = Agent::attach(&collector.url(), &hello("m", 1)).await;
    let (mut newer, _) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    refused(older.next().await, Code::Aborted, "a newer stream");
    let end = update(SnapshotEnd, 0, 1, vec![fact("/a", 1)]);
    assert_eq!(newer.update(&end).await.expect("taken"), ack(1, 0));
}

#[tokio::test]
async fn silence_ends_a_stream() {
    let collector = Collector::with_heartbeat(Duration::from_secs(1)).await;
    let (mut agent, _) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    refused(agent.next().await, Code::DeadlineExceeded, "3 heartbeats");
}

#[tokio::test]
async fn whoever_has_told_all_or_says_nothing_keeps_nobody_waiting() {
    let collector = Collector::start().await;
    let url = collector.url();
    // More than tell everything at once, twice.
    let mut there = Vec::new();
    for number in 0..600 {
        let name = format!("n{number}");
        let (mut agent, _) = Agent::attach(&url, &hello(&name, 1)).await;
        if number < 300 {
            let end = update(SnapshotEnd, 0, 1, vec![fact("/a", 1)]);
            assert_eq!(agent.update(&end).await.expect("taken"), ack(1, 0));
        }
        there.push(agent);
    }
    assert_eq!(known(&collector).await.len(), 200, "the first page");
}

#[tokio::test]
async fn agents_are_told_of_the_end() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    collector.shutdown.cancel();
    refused(agent.next().await, Code::Unavailable, "shutting down");
    collector
        .server
        .await
        .expect("no panic")
        .expect("a graceful end");
}
