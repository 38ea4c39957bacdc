//! An honest agent's queue of events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use archtrace_collector::store::{Attached, NodeId, Store};
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::{
    EventBatch, EventStream, Hello, Record, ReportedLoss, SequenceRange,
};

use super::super::super::support::{STREAM, at, event};

type Place = (u64, u64);

pub(super) struct Agent {
    node: NodeId,
    epoch: u64,
    stream: u64,
    next: u64,
    queue: VecDeque<(Place, Record)>,
    /// What has to be there in the end, and what may.
    kept: BTreeMap<Place, Record>,
    evicted: BTreeMap<Place, Record>,
}

impl Agent {
    pub(super) fn new(node: NodeId) -> Self {
        Self {
            node,
            epoch: 1,
            stream: STREAM,
            next: 0,
            queue: VecDeque::new(),
            kept: BTreeMap::new(),
            evicted: BTreeMap::new(),
        }
    }

    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    /// Says which streams it has; an agent that starts has a new one.
    pub(super) fn restart(&mut self, epoch: u64, hello: &mut Hello) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.stream = self.stream.wrapping_add(1).max(1);
            self.next = 0;
        }
        let oldest = |stream| {
            let mut queued = self.queue.iter().map(|(place, _)| *place);
            queued
                .find(|(of, _)| *of == stream)
                .map(|(_, sequence)| sequence)
        };
        hello.event_stream_id = self.stream;
        hello.next_sequence = self.next;
        hello.oldest_sequence = oldest(self.stream).unwrap_or(self.next);
        let streams: BTreeSet<_> = self.queue.iter().map(|((stream, _), _)| *stream).collect();
        let earlier = streams.into_iter().filter(|stream| *stream != self.stream);
        hello.earlier_streams = earlier
            .map(|stream_id| EventStream {
                stream_id,
                oldest_sequence: oldest(stream_id).unwrap_or(0),
                next_sequence: u64::MAX >> 2,
            })
            .collect();
    }

    /// What is stored need not be kept any more.
    pub(super) fn welcome(&mut self, attached: &Attached) {
        let (stream, next) = (self.stream, attached.next_sequence);
        self.queue
            .retain(|((of, sequence), _)| *of != stream || *sequence >= next);
    }

    pub(super) fn events(&mut self, count: u8) {
        for _ in 0..count {
            self.push(event("/e", self.next));
        }
    }

    fn push(&mut self, record: Record) {
        let place = (self.stream, self.next);
        self.kept.insert(place, record.clone());
        self.queue.push_back((place, record));
        self.next += 1;
    }

    /// Gives up the oldest events of one stream, and says so.
    pub(super) fn evict(&mut self, count: u8) {
        let Some(((stream_id, first), _)) = self.queue.front().cloned() else {
            return;
        };
        let mut last = None;
        for _ in 0..count {
            match self.queue.front() {
                Some((place, Record::Event(_))) if place.0 == stream_id => {
                    let place = *place;
                    last = Some(place.1);
                    self.queue.pop_front();
                    let record = self.kept.remove(&place).expect("it was pushed");
                    self.evicted.insert(place, record);
                }
                _ => break,
            }
        }
        let Some(last) = last else { return };
        self.push(Record::Loss(ReportedLoss {
            stage: "spool".to_owned(),
            count: last - first + 1,
            since: at(1),
            until: at(2),
            range: Some(SequenceRange {
                stream_id,
                first,
                last,
            }),
        }));
    }

    /// Sends a batch of the oldest.
    pub(super) async fn send(&mut self, store: &impl Store, most: usize, answered: bool) {
        let Some(((stream_id, first_sequence), _)) = self.queue.front().cloned() else {
            return;
        };
        let of_batch = self.queue.iter().zip(first_sequence..).take(most);
        let of_batch = of_batch.take_while(|((place, _), next)| *place == (stream_id, *next));
        let records: Vec<_> = of_batch.map(|((_, record), _)| record.clone()).collect();
        let sent = records.len();
        let batch = EventBatch {
            stream_id,
            first_sequence,
            records,
        };
        let next = store.append_events(self.node, batch, at(203)).await;
        let next = next.expect("works");
        assert!(next >= first_sequence + sent as u64);
        if answered {
            self.queue.drain(..sent);
        }
    }

    pub(super) async fn send_all(&mut self, store: &impl Store) {
        while !self.queue.is_empty() {
            self.send(store, 100, true).await;
        }
    }

    /// Everything once, but what was given up, which may be there too.
    pub(super) fn compare(&self, events: impl Iterator<Item = NodeEvent>) {
        let mut known = BTreeMap::new();
        for event in events.filter(|event| event.stream_id != 0) {
            let place = (event.stream_id, event.sequence);
            assert_eq!(known.insert(place, event.record), None, "stored once");
        }
        for (place, record) in &self.evicted {
            if let Some(stored) = known.remove(place) {
                assert_eq!(stored, *record);
            }
        }
        assert_eq!(known, self.kept);
    }
}
