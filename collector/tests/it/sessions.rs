//! What a stream does when the two sides differ, the store is away, or it is time to leave.

use std::time::Duration;

use archtrace_collector::serve::Settings;
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::Fact;
use archtrace_facts::report::UpdateKind::{Delta, SnapshotChunk, SnapshotEnd};
use archtrace_facts::report::{EventStream, StateUpdate};
use archtrace_proto::RECONNECT;
use archtrace_proto::v1;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Agent, Collector, STREAM, batch, channel, event, fact, hello, update};

/// With the digest of these facts.
fn sealed(mut update: StateUpdate, all: &[Fact]) -> StateUpdate {
    update.digest = Some(all.iter().map(Digest::of_fact).sum());
    update
}

fn beat(revision: u64, all: &[Fact]) -> Request {
    let digest: Digest = all.iter().map(Digest::of_fact).sum();
    Request::Heartbeat(v1::Heartbeat {
        revision,
        digest: digest.to_bytes().to_vec(),
        ..v1::Heartbeat::default()
    })
}

#[track_caller]
fn acked(answer: Result<Response, Status>, revision: u64) {
    match answer {
        Ok(Response::Ack(ack)) if ack.revision == revision => {}
        other => panic!("{other:?} instead of an Ack of {revision}"),
    }
}

#[track_caller]
fn resync(answer: Result<Response, Status>, words: &str) {
    match answer {
        Ok(Response::Resync(v1::Resync { reason })) if reason.contains(words) => {}
        other => panic!("{other:?} instead of a Resync because of '{words}'"),
    }
}

#[tokio::test]
async fn what_is_held_is_not_sent_again() {
    let collector = Collector::start().await;
    let url = collector.url();
    let facts = [fact("/a", 1), fact("/b", 2)];
    let digest: Digest = facts.iter().map(Digest::of_fact).sum();
    let mut again = hello("n", 1);
    again.held = Some((3, digest));
    let (mut agent, welcome) = Agent::attach(&url, &again).await;
    assert!(!welcome.resume, "nothing is held yet");
    let all = sealed(update(SnapshotEnd, 0, 3, facts.to_vec()), &facts);
    acked(agent.update(&all).await, 3);
    for (what, held, resume) in [
        ("the same", Some((3, digest)), true),
        ("another revision", Some((4, digest)), false),
        ("another digest", Some((3, Digest::default())), false),
        ("nothing", None, false),
    ] {
        again.held = held;
        let (mut agent, welcome) = Agent::attach(&url, &again).await;
        assert_eq!(welcome.resume, resume, "{what}");
        if resume {
            acked(agent.ask(beat(3, &facts)).await, 0);
            let more = [&facts[..], &[fact("/c", 1)]].concat();
            let delta = sealed(update(Delta, 3, 4, vec![fact("/c", 1)]), &more);
            acked(agent.update(&delta).await, 4);
            let back = sealed(update(SnapshotEnd, 0, 3, facts.to_vec()), &facts);
            acked(agent.update(&back).await, 3);
        }
    }
    again.epoch = 2;
    again.held = Some((3, digest));
    let (_, welcome) = Agent::attach(&url, &again).await;
    assert!(!welcome.resume, "it was another epoch's");
}

#[tokio::test]
async fn facts_that_differ_are_asked_for_or_refused() {
    let collector = Collector::start().await;
    let url = collector.url();
    let (mut agent, _) = Agent::attach(&url, &hello("n", 1)).await;
    let (a, b) = (fact("/a", 1), fact("/b", 2));
    let only_a = std::slice::from_ref(&a);
    let both = [a.clone(), b.clone()];
    acked(agent.ask(beat(7, only_a)).await, 0);
    let all = sealed(update(SnapshotEnd, 0, 1, vec![a.clone()]), only_a);
    acked(agent.update(&all).await, 1);
    acked(agent.ask(beat(1, only_a)).await, 1);

    let wrong = sealed(update(Delta, 1, 2, vec![b.clone()]), only_a);
    resync(agent.update(&wrong).await, "digest");
    acked(agent.ask(beat(1, &both)).await, 1);
    acked(agent.update(&all).await, 1);

    // It says that it holds something else; a delta that was on its way is answered by that too.
    resync(agent.ask(beat(1, &both)).await, "other facts");
    let right = sealed(update(Delta, 1, 2, vec![b.clone()]), &both);
    agent.tell(Request::State((&right).into())).await;
    acked(agent.update(&all).await, 1);
    acked(agent.update(&right).await, 2);
    acked(agent.ask(beat(1, only_a)).await, 2);
    resync(agent.ask(beat(3, &both)).await, "other facts");

    let lies = sealed(update(SnapshotEnd, 0, 5, both.to_vec()), only_a);
    let refused = agent
        .update(&lies)
        .await
        .expect_err("it would come again for ever");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert!(refused.message().contains("state.digest"), "{refused}");
    let mut query = v1::query_client::QueryClient::new(channel(&url).await);
    let status = query.get_server_status(v1::GetServerStatusRequest {}).await;
    let refusals = status.expect("an answer").into_inner().refusals;
    let digests = refusals.iter().find(|one| one.reason == "digest_mismatch");
    assert_eq!(digests.map(|one| one.count), Some(4), "{refusals:?}");
}

#[tokio::test]
async fn streams_of_earlier_runs_are_taken_in() {
    let collector = Collector::start().await;
    let url = collector.url();
    let mut later = hello("n", 2);
    later.event_stream_id = 77;
    later.earlier_streams = vec![EventStream {
        stream_id: STREAM,
        oldest_sequence: 0,
        next_sequence: 2,
    }];
    let (mut first, _) = Agent::attach(&url, &hello("n", 1)).await;
    let one = batch(0, vec![event("/a", 1)]);
    first.events(&one).await.expect("taken");
    let (mut agent, welcome) = Agent::attach(&url, &later).await;
    let told = (welcome.next_sequence, welcome.earlier_next_sequences);
    assert_eq!(told, (0, vec![1]));
    let rest = batch(1, vec![event("/b", 2)]);
    let mut own = batch(0, vec![event("/c", 3)]);
    own.stream_id = 77;
    for (batch, next_sequence) in [(&rest, 2), (&own, 1), (&rest, 2)] {
        let answer = agent.events(batch).await.expect("taken");
        let expected = v1::Ack {
            revision: 0,
            next_sequence,
            stream_id: batch.stream_id,
        };
        assert_eq!(answer, Response::Ack(expected));
    }
    own.stream_id = 78;
    let refused = agent.events(&own).await.expect_err("never said");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for() {
    let collector = Collector::start().await;
    let (mut agent, _) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    let facts = [fact("/a", 1)];
    let all = sealed(update(SnapshotEnd, 0, 1, facts.to_vec()), &facts);
    acked(agent.update(&all).await, 1);

    let path = collector.dir.path().join("store.db");
    let other = rusqlite::Connection::open(path).expect("opens");
    other
        .execute_batch("BEGIN IMMEDIATE")
        .expect("it is ours now");
    let delta = sealed(update(Delta, 1, 2, vec![fact("/a", 1)]), &facts);
    let answers = [
        agent.update(&delta).await,
        // On its way when the store went away: there is no second attempt before the time has come.
        agent.events(&batch(0, vec![event("/a", 1)])).await,
    ];
    let mut wait = Duration::ZERO;
    for answer in answers {
        match answer {
            Ok(Response::Throttle(throttle)) => {
                let told = throttle.retry_after.expect("some time");
                wait = Duration::try_from(told).expect("a time to come");
            }
            other => panic!("{other:?} instead of Throttle"),
        }
    }
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
    acked(agent.ask(beat(1, &facts)).await, 1);
    other.execute_batch("ROLLBACK").expect("it is free again");
    tokio::time::sleep(wait).await;
    acked(agent.update(&all).await, 1);
    agent
        .events(&batch(0, vec![event("/a", 1)]))
        .await
        .expect("taken");
}

/// Where a planned end says so: within how many milliseconds to come again.
fn planned(status: &Status) -> Option<u64> {
    let within = status.metadata().get(RECONNECT)?;
    (status.code() == Code::Unavailable).then(|| within.to_str().ok()?.parse().ok())?
}

#[tokio::test]
async fn a_stream_ends_when_it_is_old() {
    let mut settings = Settings::new("test".to_owned(), Duration::from_secs(10));
    settings.max_connection_age = Some(Duration::from_secs(1));
    let collector = Collector::with(settings).await;
    let (mut agent, _) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    let end = agent.next().await.expect_err("it is old");
    assert!(planned(&end).is_some(), "{end:?}");
    let (mut agent, _) = Agent::attach(&collector.url(), &hello("n", 1)).await;
    acked(agent.ask(beat(0, &[])).await, 0);
}

#[tokio::test]
async fn a_shutdown_is_spread_and_nobody_comes_in() {
    let mut settings = Settings::new("test".to_owned(), Duration::from_secs(10));
    settings.drain = Duration::from_secs(3);
    let collector = Collector::with(settings).await;
    let url = collector.url();
    let mut agents = Vec::new();
    for i in 0..20 {
        agents.push(Agent::attach(&url, &hello(&format!("n{i}"), 1)).await.0);
    }
    let connection = channel(&url).await;
    let watched = HealthClient::new(connection.clone())
        .watch(HealthCheckRequest::default())
        .await;
    let mut watched = watched.expect("an answer").into_inner();
    let mut health = HealthClient::new(connection.clone());
    let before = health.check(HealthCheckRequest::default()).await;
    let serving = ServingStatus::Serving as i32;
    assert_eq!(before.expect("an answer").into_inner().status, serving);
    collector.shutdown.cancel();
    let began = tokio::time::Instant::now();
    let mut late = v1::agent_ingest_client::AgentIngestClient::new(connection);
    let refused = late
        .sync(tokio_stream::empty())
        .await
        .expect_err("it is over");
    assert!(planned(&refused).is_some(), "{refused:?}");
    let after = health.check(HealthCheckRequest::default()).await;
    assert_ne!(after.expect("an answer").into_inner().status, serving);
    let ends = agents.into_iter().map(|mut agent| {
        tokio::spawn(async move {
            let end = loop {
                match agent.next().await {
                    Ok(_) => {}
                    Err(end) => break end,
                }
            };
            assert!(planned(&end).is_some(), "{end:?}");
            began.elapsed()
        })
    });
    let mut times = Vec::new();
    for end in ends.collect::<Vec<_>>() {
        times.push(end.await.expect("no panic"));
    }
    times.sort_unstable();
    // That all twenty random times lie within a third of the whole has a chance of one in 10^8.
    let spread = times[19] - times[0];
    assert!(spread > Duration::from_millis(300), "{times:?}");
    let end = loop {
        match watched.message().await {
            Ok(told) => assert!(told.is_some(), "it would go on for ever"),
            Err(end) => break end,
        }
    };
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert!(end.message().contains("shutting down"), "{end}");
    collector
        .server
        .await
        .expect("no panic")
        .expect("a graceful end");
}

#[tokio::test]
async fn there_are_bounds() {
    let collector = Collector::start().await;
    let attach = async || Agent::attach(&collector.url(), &hello("n", 1)).await;
    let (mut agent, welcome) = attach().await;
    let most = usize::try_from(welcome.max_items).expect("a number");
    let mut many = update(SnapshotChunk, 0, 1, Vec::new());
    let id = fact("/a", 1).key.id();
    many.removed = vec![id; most];
    agent.update(&many).await.expect("so many are fine");
    many.removed.push(id);
    let refused = agent.update(&many).await.expect_err("one more is not");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");

    let (mut agent, _) = attach().await;
    let chunk = |i: usize| {
        let facts = (0..2000).map(|j| fact(&format!("/{i}/{j}"), 1));
        update(SnapshotChunk, 0, 1, facts.collect())
    };
    let mut taken = 0;
    let refused = loop {
        match agent.update(&chunk(taken)).await {
            Ok(_) => taken += 1,
            Err(status) => break status,
        }
        assert!(taken < 40, "there is no end");
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert_eq!(taken, 32);
}
