//! Streams of events, and what is missing in them.

use archtrace_collector::store::Store;
use archtrace_facts::report::{EventBatch, EventStream, Record, ReportedLoss, SequenceRange};
use archtrace_query::read::EventQuery;

use super::super::support::{STREAM, at, batch, event, hello, loss};
use super::{any, attach, events, gap};

pub(crate) async fn events_are_stored_once_and_gaps_are_counted(store: &impl Store) {
    let node = attach(store, "n", 1).await;
    let append = async |batch: EventBatch| {
        store
            .append_events(node.node, batch, at(1))
            .await
            .expect("works")
    };
    let gap = async || store.totals(at(0)).await.expect("works").unexplained_gap;
    assert_eq!(
        append(batch(0, vec![event("/a", 1), event("/b", 2)])).await,
        2
    );
    assert_eq!(
        append(batch(0, vec![event("/a", 1), event("/b", 2)])).await,
        2,
        "sent again"
    );
    assert_eq!(
        append(batch(1, vec![event("/b", 2), event("/c", 3)])).await,
        3,
        "overlapping"
    );
    assert_eq!(append(batch(1, Vec::new())).await, 3);
    assert_eq!(gap().await, 0);
    let all = events(store, EventQuery { limit: 10, ..any() }).await;
    let told: Vec<_> = all
        .iter()
        .map(|event| (event.sequence, event.record.clone()))
        .collect();
    assert_eq!(
        told,
        [
            (2, event("/c", 3)),
            (1, event("/b", 2)),
            (0, event("/a", 1))
        ]
    );
    // Sequences 3 to 6 are missing, and the agent says so.
    assert_eq!(append(batch(7, vec![loss("event_queue", 4)])).await, 8);
    assert_eq!(gap().await, 0);
    // 8 and 9 are missing; what the kernel lost never had a sequence.
    assert_eq!(
        append(batch(
            10,
            vec![loss("ring_buffer", 9), loss("event_queue", 1)]
        ))
        .await,
        12
    );
    assert_eq!(gap().await, 1);
    let totals = store.totals(at(0)).await.expect("works");
    assert_eq!(totals.events, 3);
    let by_stage: Vec<_> = totals
        .losses
        .iter()
        .map(|l| (l.stage.as_str(), l.count, l.records))
        .collect();
    assert_eq!(by_stage, [("event_queue", 5, 2), ("ring_buffer", 9, 1)]);
}

pub(crate) async fn streams_begin_where_the_agent_can(store: &impl Store) {
    let late = |epoch, event_stream_id, oldest_sequence| {
        let mut hello = hello("n", epoch);
        (hello.event_stream_id, hello.oldest_sequence) = (event_stream_id, oldest_sequence);
        hello
    };
    let attached = store.attach(late(1, 5, 100), at(1)).await.expect("works");
    assert_eq!(
        attached.next_sequence, 100,
        "what came before was not promised to this store"
    );
    let events = EventBatch {
        stream_id: 5,
        first_sequence: 100,
        records: vec![event("/a", 1)],
    };
    assert_eq!(
        store
            .append_events(attached.lease.node, events, at(1))
            .await
            .expect("works"),
        101
    );
    let again = store.attach(late(1, 5, 200), at(1)).await.expect("works");
    assert_eq!(again.next_sequence, 101, "what is missing now is missed");
    let other = store.attach(late(2, 6, 0), at(1)).await.expect("works");
    assert_eq!(other.next_sequence, 0);
    assert_eq!(store.totals(at(0)).await.expect("works").unexplained_gap, 0);
}

/// Sequences of a stream that were lost.
fn lost(stream_id: u64, first: u64, last: u64) -> Record {
    Record::Loss(ReportedLoss {
        stage: "spool".to_owned(),
        count: last - first + 1,
        since: at(1),
        until: at(2),
        range: Some(SequenceRange {
            stream_id,
            first,
            last,
        }),
    })
}

pub(crate) async fn ranges_explain_gaps(store: &impl Store) {
    let node = attach(store, "n", 1).await.node;
    let append = async |stream_id, first_sequence, records| {
        let batch = EventBatch {
            stream_id,
            first_sequence,
            records,
        };
        let appended = store.append_events(node, batch, at(1));
        appended.await.expect("works")
    };
    append(STREAM, 0, vec![event("/a", 1)]).await;
    append(STREAM, 4, vec![event("/b", 1)]).await;
    assert_eq!(gap(store).await, 3, "1 to 3");
    for _ in 0..2 {
        append(STREAM, 5, vec![lost(STREAM, 1, 2)]).await;
        assert_eq!(gap(store).await, 1, "however often it is told");
    }
    // By another stream, and before the gap is seen.
    append(9, 0, vec![lost(STREAM, 3, 3), lost(STREAM, 6, 7)]).await;
    assert_eq!(gap(store).await, 0);
    append(STREAM, 8, vec![event("/c", 1)]).await;
    assert_eq!(gap(store).await, 0);
    // Ranges of counted losses only: what the kernel lost has no sequence.
    append(STREAM, 10, vec![loss("ring_buffer", 1)]).await;
    assert_eq!(gap(store).await, 1);
    // A stream that was never heard of, and that comes with the rest later.
    append(9, 2, vec![lost(11, 0, 4)]).await;
    assert_eq!(append(11, 5, vec![event("/d", 1)]).await, 6);
    assert_eq!(gap(store).await, 1);
    let known = events(store, any()).await;
    let ranges = known.into_iter().filter_map(|event| match event.record {
        Record::Loss(loss) => loss.range,
        Record::Event(_) | Record::Handler(_) => None,
    });
    let mut ranges: Vec<_> = ranges.map(|r| (r.stream_id, r.first, r.last)).collect();
    ranges.sort_unstable();
    let told = [(11, 0, 4), (STREAM, 1, 2), (STREAM, 3, 3), (STREAM, 6, 7)];
    assert_eq!(ranges, told);
}

pub(crate) async fn what_is_stored_is_not_explained(store: &impl Store) {
    let mut late = hello("n", 1);
    late.oldest_sequence = 100;
    let node = store.attach(late, at(1)).await.expect("works").lease.node;
    let append = async |batch| {
        store
            .append_events(node, batch, at(1))
            .await
            .expect("works")
    };
    append(batch(100, vec![event("/a", 1), event("/b", 1)])).await;
    // What came before was never promised; and the answer to 100 and 101 did not reach the agent.
    let losses = vec![lost(STREAM, 0, 99), lost(STREAM, 100, 101)];
    append(batch(102, losses)).await;
    append(batch(107, vec![event("/c", 1)])).await;
    assert_eq!(gap(store).await, 3);
    append(batch(108, vec![lost(STREAM, 90, 105)])).await;
    assert_eq!(gap(store).await, 1);
    append(batch(109, vec![lost(STREAM, 106, u64::MAX)])).await;
    assert_eq!(gap(store).await, 0);
}

pub(crate) async fn late_batches_fill_gaps(store: &impl Store) {
    let node = attach(store, "n", 1).await.node;
    let append = async |batch| {
        store
            .append_events(node, batch, at(1))
            .await
            .expect("works")
    };
    assert_eq!(append(batch(5, vec![event("/f", 6)])).await, 6);
    assert_eq!(gap(store).await, 5);
    for _ in 0..2 {
        let late = vec![event("/a", 1), event("/b", 2), event("/c", 3)];
        assert_eq!(append(batch(0, late)).await, 6, "the end stays where it is");
        assert_eq!(gap(store).await, 2);
    }
    let rest = vec![
        event("/d", 4),
        event("/e", 5),
        event("/f", 6),
        event("/g", 7),
    ];
    assert_eq!(append(batch(3, rest)).await, 7);
    assert_eq!(gap(store).await, 0);
    let known = events(store, any()).await;
    let known: Vec<_> = known.iter().map(|event| event.sequence).collect();
    assert_eq!(known, [6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(store.totals(at(0)).await.expect("works").events, 7);
}

pub(crate) async fn what_comes_although_a_loss_named_it_hides_no_gap(store: &impl Store) {
    let node = attach(store, "n", 1).await.node;
    let append = async |batch| {
        let appended = store.append_events(node, batch, at(1)).await;
        appended.expect("works")
    };
    append(batch(0, vec![event("/a", 1)])).await;
    append(batch(4, vec![event("/e", 1)])).await;
    append(batch(5, vec![lost(STREAM, 1, 2), lost(STREAM, 8, 9)])).await;
    assert_eq!(
        gap(store).await,
        0,
        "3 is missing, and 8 and 9 were named before they could be"
    );
    // 2 comes late, 8 in its turn.
    append(batch(2, vec![event("/c", 1)])).await;
    assert_eq!(gap(store).await, 0);
    append(batch(7, vec![event("/g", 1), event("/h", 1)])).await;
    append(batch(11, vec![event("/l", 1)])).await;
    assert_eq!(gap(store).await, 2, "3 and 10");
}

pub(crate) async fn earlier_streams_go_on(store: &impl Store) {
    let node = attach(store, "n", 1).await.node;
    store
        .append_events(node, batch(0, vec![event("/a", 1), event("/b", 2)]), at(1))
        .await
        .expect("works");
    let earlier = |stream_id, oldest_sequence| EventStream {
        stream_id,
        oldest_sequence,
        next_sequence: 50,
    };
    let mut next = hello("n", 2);
    next.event_stream_id = 77;
    next.earlier_streams = vec![earlier(STREAM, 1), earlier(5, 40)];
    let attached = store.attach(next.clone(), at(2)).await.expect("works");
    assert_eq!(
        (attached.next_sequence, attached.earlier_next_sequences),
        (0, vec![2, 40])
    );
    let rest = EventBatch {
        stream_id: 5,
        first_sequence: 40,
        records: vec![event("/c", 1)],
    };
    let appended = store.append_events(node, rest, at(3)).await;
    assert_eq!(appended.expect("works"), 41);
    let attached = store.attach(next, at(4)).await.expect("works");
    assert_eq!(attached.earlier_next_sequences, [2, 41]);
    assert_eq!(gap(store).await, 0);
}
