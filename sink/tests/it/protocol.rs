//! What the protocol promises.

use std::time::Duration;

use archtrace_proto::RECONNECT;
use archtrace_proto::v1;
use archtrace_proto::v1::state_update::Kind;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::sync_response::Message as Response;
use archtrace_sink::spool::{Config, Owner};
use archtrace_sink::{Files, Queue};
use prost::Message as _;
use tonic::Status;

use crate::fake::{Agent, Fake, digest_of, prost_duration, welcome};

fn resync(reason: &str) -> Response {
    let reason = reason.to_owned();
    Response::Resync(v1::Resync { reason })
}

#[tokio::test]
async fn a_snapshot_then_deltas_each_with_its_digest() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    agent.ran(1, 3);
    let mut stream = fake.stream().await;
    let hello = stream.welcome().await;
    assert_eq!((hello.revision, hello.digest.len()), (0, 0));
    let snapshot = stream.state().await;
    assert_eq!(snapshot.kind(), Kind::SnapshotEnd);
    assert_eq!((snapshot.revision, snapshot.upserts.len()), (1, 1));
    assert_eq!(snapshot.digest, digest_of(&snapshot.upserts));
    agent.ran(2, 1);
    agent.ran(1, 4);
    stream.ack(1, (7, 1)).await;
    // What came up meanwhile goes together, and only then.
    let delta = stream.state().await;
    assert_eq!(delta.kind(), Kind::Delta);
    assert_eq!((delta.base_revision, delta.revision), (1, 2));
    assert_eq!(delta.digest, digest_of(&delta.upserts), "both changed");
    stream.ack(2, (7, 1)).await;
    let digest = agent.digest();
    loop {
        let beat = stream.heartbeat().await;
        stream.ack(2, (7, 1)).await;
        assert!(beat.health.is_some() && beat.preflight.is_none());
        if !beat.digest.is_empty() {
            assert_eq!((beat.revision, &beat.digest), (2, &digest));
            break;
        }
    }
    let line = "a line".to_owned();
    agent.outbox.lock().preflight.missing.push(line);
    while stream.heartbeat().await.preflight.is_none() {}
}

#[tokio::test]
async fn a_collector_that_holds_everything_gets_no_snapshot() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    agent.ran(1, 3);
    let mut stream = fake.stream().await;
    stream.welcome().await;
    stream.state().await;
    stream.ack(1, (7, 1)).await;
    stream.heartbeat().await;
    stream.end(Status::unavailable("broken")).await;
    let mut stream = fake.stream().await;
    let hello = stream.hello().await;
    assert_eq!((hello.revision, &hello.digest), (1, &agent.digest()));
    let resumed = v1::Welcome {
        resume: true,
        ..welcome(&hello)
    };
    stream.answer(Response::Welcome(resumed)).await;
    agent.ran(1, 4);
    let delta = stream.state().await;
    assert_eq!((delta.kind(), delta.base_revision), (Kind::Delta, 1));
    // Whether that has arrived, the collector knows.
    stream.end(Status::unavailable("broken")).await;
    let mut stream = fake.stream().await;
    let hello = stream.welcome().await;
    assert_eq!((hello.revision, hello.digest), (2, delta.digest));
    assert_eq!(stream.state().await.kind(), Kind::SnapshotEnd);
}

#[tokio::test]
async fn a_resync_is_answered_by_a_snapshot() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    agent.ran(1, 3);
    let mut stream = fake.stream().await;
    stream.welcome().await;
    stream.state().await;
    stream.ack(1, (7, 1)).await;
    agent.ran(1, 4);
    stream.state().await;
    stream.answer(resync("other digest")).await;
    let snapshot = stream.state().await;
    assert_eq!(snapshot.kind(), Kind::SnapshotEnd);
    assert_eq!(snapshot.digest, digest_of(&snapshot.upserts));
    let link = agent.outbox.lock().link;
    assert_eq!((link.resyncs, link.throttles), (1, 0));
}

#[tokio::test]
async fn events_are_sent_until_they_are_stored() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    for pid in 1..=3 {
        agent.happened(pid);
    }
    let mut stream = fake.stream().await;
    let hello = stream.welcome().await;
    assert_eq!((hello.event_stream_id, hello.next_sequence), (7, 4));
    stream.state().await;
    let batch = stream.events().await;
    assert_eq!((batch.first_sequence, batch.records.len()), (1, 3));
    // Two of them were stored, as the collector says when it is there again.
    stream.end(Status::unavailable("broken")).await;
    let mut stream = fake.stream().await;
    let hello = stream.hello().await;
    assert_eq!(hello.oldest_sequence, 1);
    let welcome = v1::Welcome {
        next_sequence: 3,
        ..welcome(&hello)
    };
    stream.answer(Response::Welcome(welcome)).await;
    stream.state().await;
    let batch = stream.events().await;
    assert_eq!((batch.first_sequence, batch.records.len()), (3, 1));
    assert_eq!(agent.outbox.lock().link.stored_at, None);
    stream.ack(1, (7, 4)).await;
    agent.happened(4);
    assert_eq!(stream.events().await.first_sequence, 4);
    let link = agent.outbox.lock().link;
    assert_eq!((link.connected, link.streams, link.failures), (true, 2, 1));
    assert!(link.stored_at.is_some());
}

#[tokio::test]
async fn a_throttled_agent_waits_and_sends_again() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    agent.ran(1, 1);
    agent.happened(1);
    let mut stream = fake.stream().await;
    stream.welcome().await;
    stream.state().await;
    stream.events().await;
    let pause = Duration::from_secs(2);
    let throttle = v1::Throttle {
        retry_after: Some(prost_duration(pause)),
        reason: "the store is away".to_owned(),
    };
    stream.answer(Response::Throttle(throttle)).await;
    let since = std::time::Instant::now();
    // Signs of life go on.
    stream.heartbeat().await;
    assert_eq!(stream.state().await.kind(), Kind::SnapshotEnd);
    assert!(since.elapsed() > pause / 2, "{:?}", since.elapsed());
    assert_eq!(stream.events().await.first_sequence, 1);
    let link = agent.outbox.lock().link;
    assert_eq!((link.resyncs, link.throttles), (0, 1));
}

#[tokio::test]
async fn no_message_is_larger_or_holds_more_than_it_may() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    for binary in 0..50 {
        agent.ran(binary, 1);
        agent.happened(1);
    }
    let mut stream = fake.stream().await;
    let hello = stream.hello().await;
    let welcome = v1::Welcome {
        max_items: 7,
        ..welcome(&hello)
    };
    stream.answer(Response::Welcome(welcome)).await;
    let mut facts = 0;
    loop {
        let state = stream.state().await;
        assert!(state.upserts.len() <= 7);
        facts += state.upserts.len();
        if state.kind() == Kind::SnapshotEnd {
            break;
        }
        assert_eq!(state.kind(), Kind::SnapshotChunk);
        assert!(state.digest.is_empty());
    }
    assert_eq!(facts, 50);
    assert_eq!(stream.events().await.records.len(), 7);
}

#[tokio::test]
async fn long_names_make_more_messages_and_no_larger_ones() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    for binary in 0..200 {
        // A path of PATH_MAX, each byte of which takes four.
        agent.ran_at(&format!("/{binary}{}", "\\x01".repeat(4000)), binary, 1);
    }
    let mut stream = fake.stream().await;
    let hello = stream.hello().await;
    let max_message_bytes = 100_000;
    let welcome = v1::Welcome {
        max_message_bytes,
        ..welcome(&hello)
    };
    stream.answer(Response::Welcome(welcome)).await;
    let mut facts = 0;
    loop {
        let state = stream.state().await;
        facts += state.upserts.len();
        assert!(state.encoded_len() < max_message_bytes as usize);
        if state.kind() == Kind::SnapshotEnd {
            break;
        }
    }
    assert_eq!(facts, 200);
}

#[tokio::test]
async fn a_planned_end_is_followed_by_a_new_stream_at_once() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    for _ in 0..20 {
        agent.happened(1);
        let mut stream = fake.stream().await;
        stream.welcome().await;
        stream.state().await;
        let batch = stream.events().await;
        let next = batch.first_sequence + batch.records.len() as u64;
        stream.ack(1, (7, next)).await;
        while !agent.outbox.lock().events.is_empty() {
            stream.heartbeat().await;
        }
        let mut status = Status::unavailable("this connection is old");
        let within = "1".parse().expect("a number");
        status.metadata_mut().insert(RECONNECT, within);
        stream.end(status).await;
    }
    assert_eq!(agent.outbox.lock().link.failures, 0, "it was planned");
}

#[tokio::test]
async fn what_earlier_runs_left_is_sent_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = || Config {
        state_dir: dir.path().to_owned(),
        max_bytes: 1 << 20,
        max_age: Duration::from_secs(3600),
        owner: Owner::default(),
    };
    let mut fake = Fake::start().await;
    // More than one Hello may tell of.
    for stream_id in 1..=20 {
        let queue = Queue::with_spool(stream_id, config());
        let agent = Agent::with("http://127.0.0.1:9", Files::default(), queue);
        agent.happened(1);
        assert_eq!(agent.outbox.lock().events.kept(), "disk");
        drop(agent);
        // The task that shares the queue, and with it the lock, ends by itself.
        let freed = async {
            while Queue::with_spool(99, config()).kept() != "disk" {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(crate::fake::SOON, freed)
            .await
            .expect("free");
    }
    let agent = Agent::with(
        &fake.url(),
        Files::default(),
        Queue::with_spool(21, config()),
    );
    agent.happened(1);
    let mut seen = Vec::new();
    let mut told = Vec::new();
    while seen.len() < 21 {
        let mut stream = fake.stream().await;
        let hello = stream.welcome().await;
        assert!(hello.earlier_streams.len() <= 16);
        told.push(hello.earlier_streams.len());
        stream.state().await;
        let expected = seen.len()
            + hello.earlier_streams.len()
            + usize::from(seen.len() + hello.earlier_streams.len() == 20);
        while seen.len() < expected {
            let Request::Events(batch) = stream.said().await else {
                continue;
            };
            seen.push(batch.stream_id);
            let next = batch.first_sequence + batch.records.len() as u64;
            stream.ack(1, (batch.stream_id, next)).await;
        }
    }
    assert_eq!(told, [16, 4]);
    assert_eq!(seen, (1..=21).collect::<Vec<_>>());
}
