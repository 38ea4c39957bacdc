//! Those who follow facts and events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::fact::Mode;
use archtrace_facts::fleet::{EventUpdate, FactUpdate};
use archtrace_facts::identity::Identity;
use archtrace_proto::convert::{decode_event_update, decode_fact_update};
use archtrace_proto::v1;
use archtrace_proto::v1::query_server::Query as _;
use archtrace_query::Query;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Status};

use super::memory::{Memory, at, fact, query};

type Watch = <Query<Memory> as v1::query_server::Query>::WatchFactsStream;

async fn watch(query: &Query<Memory>, filter: &str) -> Watch {
    let ask = v1::WatchFactsRequest {
        selection: Some(v1::Selection {
            filter: filter.to_owned(),
            ..Default::default()
        }),
    };
    let stream = query.watch_facts(Request::new(ask)).await;
    stream.expect("a stream").into_inner()
}

async fn next<T>(
    stream: &mut (impl Stream<Item = Result<T, Status>> + Unpin),
) -> Result<T, Status> {
    let next = tokio::time::timeout(Duration::from_secs(60), stream.next()).await;
    next.expect("in time").expect("not the end")
}

/// What is told next, other than which nodes it is about, in short.
async fn told(stream: &mut Watch) -> String {
    loop {
        let message = next(stream).await.expect("no error");
        let update = decode_fact_update(message)
            .expect("well formed")
            .expect("known");
        return match update {
            FactUpdate::Upsert(fact) => {
                let (fact, current) = (fact.fact, fact.current);
                format!("{} {} {current}", fact.key.binary, fact.count)
            }
            FactUpdate::Removed(removed) => format!("removed {}", removed.node),
            FactUpdate::SnapshotEnd(count) => format!("end {count}"),
            FactUpdate::SnapshotBegin(reason) => format!("begin {reason}"),
            FactUpdate::Coverage(_) => continue,
        };
    }
}

#[tokio::test]
async fn a_snapshot_then_what_changes_for_those_whom_it_concerns() {
    let store = Arc::new(Memory::default());
    let node = store.add_node("n1");
    let put = |binary: &str, count| {
        let fact = fact(binary, Mode::Emulated, count);
        store.put(node, vec![(fact, Identity::default())]);
    };
    put("/a", 1);
    put("/b", 20);
    let query = query(&store, None);
    let mut all = watch(&query, "").await;
    let mut some = watch(&query, "count < 10").await;
    assert_eq!(told(&mut all).await, "begin start");
    let mut both = [told(&mut all).await, told(&mut all).await];
    both.sort();
    assert_eq!(both, ["/a 1 true", "/b 20 true"]);
    assert_eq!(told(&mut all).await, "end 2");
    for expected in ["begin start", "/a 1 true", "end 1"] {
        assert_eq!(told(&mut some).await, expected);
    }
    put("/a", 2);
    assert_eq!(told(&mut all).await, "/a 2 true");
    assert_eq!(told(&mut some).await, "/a 2 true");
    put("/b", 21);
    put("/a", 10);
    let mut both = [told(&mut all).await, told(&mut all).await];
    both.sort();
    assert_eq!(both, ["/a 10 true", "/b 21 true"]);
    assert_eq!(told(&mut some).await, "removed n1");
    store.end(node, fact("/b", Mode::Emulated, 0).key.id());
    assert_eq!(told(&mut all).await, "removed n1");
    store.heard(node, SystemTime::UNIX_EPOCH);
    assert_eq!(told(&mut all).await, "/a 10 false");
    put("/c", 3);
    assert_eq!(told(&mut all).await, "/c 3 false");
    assert_eq!(told(&mut some).await, "/c 3 false");
}

#[tokio::test]
async fn who_reads_too_slowly_gets_a_new_snapshot_and_misses_nothing() {
    let store = Arc::new(Memory::default());
    let node = store.add_node("n1");
    let many = |count| {
        let facts = (0..3000).map(|i| fact(&format!("/{i}"), Mode::Native, count));
        store.put(
            node,
            facts.map(|fact| (fact, Identity::default())).collect(),
        );
    };
    many(1);
    let query = query(&store, None);
    let mut slow = watch(&query, "").await;
    assert_eq!(told(&mut slow).await, "begin start");
    // More than is kept: each is read before the next one comes.
    for count in 2..12 {
        many(count);
        store.heard(node, SystemTime::now() + Duration::from_secs(3600));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (mut begins, mut counts) = (1, BTreeMap::new());
    while counts.len() < 3000 || counts.values().any(|count| count != "11 true") {
        let told = told(&mut slow).await;
        if told == "begin slow_reader" {
            begins += 1;
            counts.clear();
        } else if let Some((binary, count)) = told.split_once(' ')
            && binary.starts_with('/')
        {
            counts.insert(binary.to_owned(), count.to_owned());
        }
    }
    assert_eq!(begins, 2);
}

#[tokio::test]
async fn only_so_many_may_follow_and_they_make_room() {
    let store = Arc::new(Memory::default());
    let query = query(&store, None);
    let mut watches = Vec::new();
    let status = loop {
        let ask = v1::WatchFactsRequest::default();
        match query.watch_facts(Request::new(ask)).await {
            Ok(stream) => watches.push(stream.into_inner()),
            Err(status) => break status,
        }
        assert!(watches.len() < 1000);
    };
    assert_eq!(status.code(), Code::ResourceExhausted);
    watches.pop();
    let room = async {
        let ask = || Request::new(v1::WatchFactsRequest::default());
        while query.watch_facts(ask()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), room)
        .await
        .expect("room");
}

#[tokio::test]
async fn a_deadline_ends_a_stream_and_so_does_the_server() {
    let store = Arc::new(Memory::default());
    let query = query(&store, None);
    let mut ask = Request::new(v1::WatchFactsRequest::default());
    ask.metadata_mut()
        .insert("grpc-timeout", "700m".parse().expect("a value"));
    let mut stream = query.watch_facts(ask).await.expect("a stream").into_inner();
    let status = loop {
        match next(&mut stream).await {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(stream.next().await.is_none());
}

fn stream_of(since: Option<SystemTime>, follow: bool) -> Request<v1::StreamEventsRequest> {
    Request::new(v1::StreamEventsRequest {
        since: since.map(Into::into),
        follow,
        ..Default::default()
    })
}

#[tokio::test]
async fn events_are_told_once_from_the_past_into_the_present() {
    let store = Arc::new(Memory::default());
    let nodes = [store.add_node("n0"), store.add_node("n1")];
    let query = query(&store, None);
    for i in 0..2000 {
        store.happen(nodes[i % 2], i as u64);
    }
    let stream = query.stream_events(stream_of(Some(at(100)), true)).await;
    let mut stream = stream.expect("a stream").into_inner();
    let mut times = Vec::new();
    let mut coverages = 0;
    // Some come while the past is told, one of them as if it had happened then.
    while times.len() < 1900 + 102 {
        let message = next(&mut stream).await.expect("no error");
        match decode_event_update(message)
            .expect("well formed")
            .expect("known")
        {
            EventUpdate::Event(event) => {
                let time = event.record.time().duration_since(at(0)).expect("later");
                times.push(time.as_secs());
            }
            EventUpdate::Coverage(coverage) => {
                assert_eq!(coverage.reporting, 2);
                coverages += 1;
            }
            EventUpdate::Skipped(count) => panic!("{count} skipped"),
        }
        if times.len() == 50 {
            for i in 0..100 {
                store.happen(nodes[i % 2], 3000 + i as u64);
            }
            store.happen(nodes[0], 1900);
            store.happen(nodes[1], 1901);
            store.happen(nodes[1], 99);
        }
    }
    assert!(coverages > 0);
    assert_eq!(times[..1900], (100..2000).collect::<Vec<_>>());
    let mut later = times.split_off(1900);
    later.sort_unstable();
    let expected: Vec<_> = [1900, 1901].into_iter().chain(3000..3100).collect();
    assert_eq!(later, expected);
}

#[tokio::test]
async fn a_forgotten_node_goes_and_what_happened_there_is_told_once() {
    let store = Arc::new(Memory::default());
    let (gone, other) = (store.add_node("gone"), store.add_node("other"));
    for node in [gone, other] {
        store.put(
            node,
            vec![(fact("/a", Mode::Emulated, 1), Identity::default())],
        );
    }
    store.happen(gone, 1);
    store.happen(gone, 2);
    let query = query(&store, None);
    let mut facts = watch(&query, "").await;
    for _ in 0..4 {
        told(&mut facts).await;
    }
    store.forget(gone);
    assert_eq!(told(&mut facts).await, "removed gone");
    let stream = query.stream_events(stream_of(Some(at(0)), true)).await;
    let mut events = stream.expect("a stream").into_inner();
    let mut next_time = async || {
        loop {
            let message = next(&mut events).await.expect("no error");
            let update = decode_event_update(message).expect("well formed");
            if let EventUpdate::Event(event) = update.expect("known") {
                return event.record.time();
            }
        }
    };
    assert_eq!([next_time().await, next_time().await], [at(1), at(2)]);
    store.happen(other, 3);
    assert_eq!(next_time().await, at(3));
    // It comes back, and so does nothing of what was.
    store.come_back(gone);
    store.happen(gone, 4);
    assert_eq!(next_time().await, at(4));
    store.happen(other, 5);
    assert_eq!(next_time().await, at(5));
}

#[tokio::test]
async fn the_past_alone_ends_and_nothing_at_all_is_no_question() {
    let store = Arc::new(Memory::default());
    let node = store.add_node("n");
    for i in 0..3 {
        store.happen(node, i);
    }
    let query = query(&store, None);
    let stream = query.stream_events(stream_of(Some(at(1)), false)).await;
    let all: Vec<_> = stream.expect("a stream").into_inner().collect().await;
    assert_eq!(all.len(), 1 + 2, "{all:?}");
    let refused = query.stream_events(stream_of(None, false)).await;
    assert_eq!(
        refused.err().expect("refused").code(),
        Code::InvalidArgument
    );
}
