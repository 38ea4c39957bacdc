//! A collector that has lost its mind: an agent that goes on, and does not hammer it.

use std::time::Duration;

use archtrace_proto::v1;
use archtrace_proto::v1::state_update::Kind;
use archtrace_proto::v1::sync_response::Message as Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Status;

use crate::fake::{Agent, Fake, Stream, prost_duration, welcome};

/// Streams that end by nonsense are made again ever more slowly: the mean of the first five waits is
/// 125 ms, 250 ms, ... so that in three seconds there are some five. A busy loop makes hundreds.
const WHILE: Duration = Duration::from_secs(3);
const FEW: usize = 25;

/// Whatever this does to each stream, the agent does not spin; then a good collector is served.
async fn survives(nonsense: impl AsyncFn(Stream)) {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    agent.ran(1, 1);
    agent.happened(1);
    let streams = fake.count(WHILE, nonsense).await;
    assert!((1..FEW).contains(&streams), "{streams} streams");
    let mut stream = fake.stream().await;
    let hello = stream.welcome().await;
    assert_eq!((hello.oldest_sequence, hello.next_sequence), (1, 2));
    assert_eq!(stream.state().await.kind(), Kind::SnapshotEnd);
    assert_eq!(stream.events().await.records.len(), 1);
}

#[tokio::test]
async fn a_second_welcome() {
    survives(async |mut stream| {
        let hello = stream.welcome().await;
        stream.answer(Response::Welcome(welcome(&hello))).await;
    })
    .await;
}

#[tokio::test]
async fn no_welcome_first() {
    survives(async |mut stream| {
        stream.hello().await;
        stream.ack(1, (7, 1)).await;
    })
    .await;
}

#[tokio::test]
async fn a_welcome_without_what_it_must_have() {
    survives(async |mut stream| {
        stream.hello().await;
        stream
            .answer(Response::Welcome(v1::Welcome::default()))
            .await;
    })
    .await;
}

#[tokio::test]
async fn earlier_streams_that_there_are_not() {
    survives(async |mut stream| {
        let hello = stream.hello().await;
        let welcome = v1::Welcome {
            earlier_next_sequences: vec![1, 2, 3],
            ..welcome(&hello)
        };
        stream.answer(Response::Welcome(welcome)).await;
    })
    .await;
}

#[tokio::test]
async fn acks_from_the_future() {
    survives(async |mut stream| {
        stream.welcome().await;
        stream.ack(u64::MAX, (7, u64::MAX)).await;
    })
    .await;
    survives(async |mut stream| {
        let hello = stream.hello().await;
        let welcome = v1::Welcome {
            next_sequence: 1000,
            ..welcome(&hello)
        };
        stream.answer(Response::Welcome(welcome)).await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_ends_at_once() {
    survives(async |stream| stream.end(Status::internal("")).await).await;
    survives(async |stream| {
        let mut status = Status::unavailable("again, at once");
        let within = "0".parse().expect("a number");
        status
            .metadata_mut()
            .insert(archtrace_proto::RECONNECT, within);
        stream.end(status).await;
    })
    .await;
}

#[tokio::test]
async fn acks_of_unknown_streams_and_limits_of_nothing_do_no_harm() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    agent.ran(1, 1);
    agent.ran(2, 1);
    agent.happened(1);
    let mut stream = fake.stream().await;
    let hello = stream.hello().await;
    let limits = v1::Welcome {
        heartbeat_interval: Some(prost_duration(Duration::ZERO)),
        max_message_bytes: 1,
        max_items: 1,
        ..welcome(&hello)
    };
    stream.answer(Response::Welcome(limits)).await;
    stream.ack(0, (99, 1000)).await;
    stream.ack(77, (0, 0)).await;
    while stream.state().await.kind() != Kind::SnapshotEnd {}
    assert_eq!(stream.events().await.first_sequence, 1);
    // A heartbeat every 100 ms at most.
    let since = std::time::Instant::now();
    for _ in 0..11 {
        stream.heartbeat().await;
    }
    assert!(since.elapsed() > Duration::from_millis(500));
    assert!(!agent.outbox.lock().events.is_empty());
}

#[tokio::test]
async fn an_interval_of_ages_is_one_that_passes() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    let mut stream = fake.stream().await;
    let hello = stream.hello().await;
    let ages = prost_types::Duration {
        seconds: 315_576_000_000,
        nanos: 0,
    };
    let slow = v1::Welcome {
        heartbeat_interval: Some(ages),
        ..welcome(&hello)
    };
    stream.answer(Response::Welcome(slow)).await;
    assert_eq!(stream.state().await.kind(), Kind::SnapshotEnd);
    stream.ack(1, (7, 1)).await;
    let throttle = v1::Throttle {
        retry_after: Some(ages),
        reason: "\u{1b}[31m".repeat(1000),
    };
    // What cannot be printed is refused, and so is a pause that never ends.
    stream.answer(Response::Throttle(throttle)).await;
    agent.happened(1);
    let mut stream = fake.stream().await;
    stream.welcome().await;
    stream.state().await;
    assert_eq!(stream.events().await.first_sequence, 1);
}

#[tokio::test]
async fn a_snapshot_that_is_never_right_is_sent_ever_more_slowly() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    agent.ran(1, 1);
    let mut stream = fake.stream().await;
    stream.welcome().await;
    let mut snapshots = 0;
    let endless = async {
        loop {
            let state = stream.state().await;
            snapshots += 1;
            // Both when it was taken, and when it was not.
            if snapshots % 2 == 0 {
                stream.ack(state.revision, (7, 1)).await;
            }
            let reason = "no".to_owned();
            stream.answer(Response::Resync(v1::Resync { reason })).await;
        }
    };
    let _ = tokio::time::timeout(WHILE, endless).await;
    assert!((2..FEW).contains(&snapshots), "{snapshots} snapshots");
}

#[tokio::test]
async fn a_throttle_of_nothing_is_no_busy_loop() {
    let mut fake = Fake::start().await;
    let agent = Agent::start(&fake.url());
    agent.happened(1);
    let mut stream = fake.stream().await;
    stream.welcome().await;
    let mut messages = 0;
    let endless = async {
        loop {
            stream.said().await;
            messages += 1;
            let throttle = v1::Throttle {
                retry_after: Some(prost_duration(Duration::ZERO)),
                reason: String::new(),
            };
            stream.answer(Response::Throttle(throttle)).await;
        }
    };
    let _ = tokio::time::timeout(WHILE, endless).await;
    assert!((2..2 * FEW).contains(&messages), "{messages} messages");
}

/// Whatever listens there: HTTP of another age, garbage, or nobody who speaks.
#[tokio::test]
async fn bytes_of_another_protocol() {
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0xff; 4096], &[]] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        let _agent = Agent::start(&format!("http://{address}"));
        let mut connections = 0;
        let serve = async {
            while let Ok((mut socket, _)) = listener.accept().await {
                connections += 1;
                let mut preface = [0; 24];
                let _ = socket.read_exact(&mut preface).await;
                let _ = socket.write_all(answer).await;
            }
        };
        let _ = tokio::time::timeout(WHILE, serve).await;
        assert!((1..FEW).contains(&connections), "{connections} connections");
    }
}
