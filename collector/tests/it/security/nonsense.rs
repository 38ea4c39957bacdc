//! Whatever an agent says, it gets an answer or a status, and the collector goes on.

use std::time::Duration;

use archtrace_facts::report::UpdateKind;
use archtrace_proto::v1;
use archtrace_proto::v1::sync_request::Message as Request;
use archtrace_proto::v1::{event_record, state_update};
use proptest::prelude::*;
use tonic::Code;

use super::peers::hello;
use crate::support::{Agent, Collector, STREAM, batch, event, fact, loss, update};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..6_u64,
        Just(u64::MAX),
        Just(i64::MAX.unsigned_abs()),
        any::<u64>()
    ]
}

fn digest() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 16),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}

fn facts() -> impl Strategy<Value = Vec<v1::Fact>> {
    let one = (0..3_usize, number(), any::<bool>()).prop_map(|(i, count, spoiled)| {
        let mut fact: v1::Fact = (&fact(["/a", "/b", "/c"][i], count)).into();
        if spoiled {
            fact.id.pop();
        }
        fact
    });
    prop::collection::vec(prop_oneof![9 => one, 1 => Just(v1::Fact::default())], 0..4)
}

fn state() -> impl Strategy<Value = Request> {
    let numbers = (
        0..5_i32,
        prop_oneof![9 => Just(1_u64), 1 => number()],
        number(),
        number(),
    );
    let removed = prop::collection::vec(prop::collection::vec(any::<u8>(), 15..18), 0..3);
    let parts = (numbers, facts(), removed, digest());
    parts.prop_map(
        |((kind, epoch, base, revision), upserts, removed_ids, digest)| {
            let mut state: v1::StateUpdate = (&update(UpdateKind::Delta, 0, 1, Vec::new())).into();
            state.kind = state_update::Kind::try_from(kind).map_or(kind, Into::into);
            (state.epoch, state.base_revision, state.revision) = (epoch, base, revision);
            (state.upserts, state.removed_ids, state.digest) = (upserts, removed_ids, digest);
            Request::State(state)
        },
    )
}

fn events() -> impl Strategy<Value = Request> {
    let range = prop::option::of((number(), number(), number()));
    let parts = (
        prop_oneof![Just(STREAM), number()],
        number(),
        0..4_usize,
        range,
    );
    parts.prop_map(|(stream_id, first_sequence, count, range)| {
        let records = vec![event("/a", 1), loss("ring_buffer", 2), event("/b", 3)];
        let mut events: v1::EventBatch = (&batch(0, records)).into();
        events.records.truncate(count);
        (events.stream_id, events.first_sequence) = (stream_id, first_sequence);
        for record in &mut events.records {
            if let Some(event_record::Record::Loss(loss)) = &mut record.record {
                loss.range = range.map(|(stream_id, first, last)| v1::SequenceRange {
                    stream_id,
                    first,
                    last,
                });
            }
        }
        Request::Events(events)
    })
}

fn request() -> impl Strategy<Value = Request> {
    let beat = (number(), number(), digest()).prop_map(|(revision, next_sequence, digest)| {
        Request::Heartbeat(v1::Heartbeat {
            revision,
            next_sequence,
            digest,
            ..v1::Heartbeat::default()
        })
    });
    let other = Just(Request::Hello((&hello("other")).into()));
    prop_oneof![6 => state(), 4 => events(), 2 => beat, 1 => other]
}

#[test]
fn any_sequence_of_messages_is_answered() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let collector = runtime.block_on(Collector::start());
    let url = collector.url();
    let config = ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(requests in prop::collection::vec(request(), 1..8))| {
        runtime.block_on(async {
            let (mut agent, _) = Agent::attach(&url, &hello("n")).await;
            for request in requests {
                // A delta that was on its way when a heartbeat was answered by Resync gets no answer.
                let answer = tokio::time::timeout(Duration::from_millis(500), agent.ask(request));
                match answer.await {
                    Ok(Ok(_)) => {}
                    Err(_) => break,
                    Ok(Err(status)) => {
                        let fine = [Code::InvalidArgument, Code::ResourceExhausted];
                        assert!(fine.contains(&status.code()), "{status}");
                        break;
                    }
                }
            }
        });
    });
    runtime.block_on(async {
        let (mut agent, _) = Agent::attach(&url, &hello("m")).await;
        let all = update(UpdateKind::SnapshotEnd, 0, 1, vec![fact("/a", 1)]);
        agent.update(&all).await.expect("the rest keeps working");
        assert!(!collector.server.is_finished());
    });
}
