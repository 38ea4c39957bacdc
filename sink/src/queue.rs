//! Events on their way to the collector.
//!
//! Each gets a sequence and goes to the spool (disk) at once, and into memory. When memory holds many, it
//! lets those go that are on disk; they are read back when their turn comes. Without a disk, memory is
//! all there is, and what does not fit never gets a sequence but is counted, and told as a loss. A
//! sequence that was given is delivered, or named by the range of one loss.

mod evict;
mod losses;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::SystemTime;

use archtrace_facts::fact::{Event, Loss, Stage};
use archtrace_facts::report::{
    EventBatch, HandlerChange, Record, ReportedLoss, SequenceRange, how_many_fit,
};

use crate::spool::segment::Frame;
use crate::spool::{Config, Spool};
use losses::Losses;
use streams::Stream;

/// Records in memory. At most one event per second and binary is made, so that this holds minutes of a
/// busy node; a record is some 500 bytes.
const CAPACITY: usize = 4096;
/// Kept free for losses: whatever is dropped must be told.
const RESERVE: usize = 64;
/// Records in memory where all are on disk too: what a collector that keeps up needs, and a small part
/// of the agent's memory.
const SPILL: usize = 512;

/// Numbered records of this run, and those that earlier runs left in the spool.
#[derive(Debug)]
pub struct Queue {
    /// Earlier runs', oldest first; then this run's, always.
    streams: VecDeque<Stream>,
    /// Records of the first stream that were read back, from its oldest on. What was handed out stays in
    /// memory until it is acknowledged.
    window: VecDeque<Record>,
    /// The newest records of this run.
    recent: VecDeque<Record>,
    /// Sequence of `recent[0]`, or of the next record.
    recent_first: u64,
    /// Records of this run below this sequence are on disk, or done with.
    written: u64,
    losses: Losses,
    spool: Option<Spool>,
}

impl Queue {
    /// A queue in memory. `stream_id` is random, new at each start of the agent, and not 0.
    #[must_use]
    pub fn new(stream_id: u64) -> Self {
        Self {
            streams: VecDeque::from([Stream::own(stream_id)]),
            window: VecDeque::new(),
            recent: VecDeque::new(),
            recent_first: 1,
            written: 1,
            losses: Losses::default(),
            spool: None,
        }
    }

    /// A queue that keeps what it has on disk, if it can: what cannot be used now is tried again. Reads
    /// what earlier runs left.
    #[must_use]
    pub fn with_spool(stream_id: u64, config: Config) -> Self {
        let mut queue = Self::new(stream_id);
        queue.spool = Some(Spool::new(config));
        queue.maintain();
        queue
    }

    /// Takes an event, or counts it as lost.
    pub fn push_event(&mut self, event: Event) {
        self.push(Record::Event(event));
    }

    /// Takes a change of a handler, or counts it as lost.
    pub fn push_handler(&mut self, change: HandlerChange) {
        self.push(Record::Handler(change));
    }

    /// Takes a loss.
    pub fn push_loss(&mut self, loss: Loss) {
        self.losses.add(loss.into());
        self.settle();
    }

    fn push(&mut self, record: Record) {
        if self.recent.len() < CAPACITY - RESERVE {
            let frame = self.spool.is_some().then(|| Frame::Record(record.clone()));
            self.number(record, frame);
            return;
        }
        let time = record.time();
        self.push_loss(Loss {
            stage: Stage::EventQueue,
            count: 1,
            since: time,
            until: time,
        });
    }

    /// Gives the record the next sequence. `frame` is how the spool keeps it.
    fn number(&mut self, record: Record, frame: Option<Frame>) {
        let sequence = self.next();
        self.recent.push_back(record);
        let stream_id = self.stream_id();
        if self.written < sequence {
            // Others come first, when the disk works again.
            self.write_rest();
        } else if let (Some(spool), Some(frame)) = (&mut self.spool, frame)
            && spool.append(stream_id, sequence, &frame)
        {
            self.written = sequence + 1;
        }
        if self.recent.len() >= SPILL {
            self.spill();
        }
        self.evict();
    }

    /// Lets the records in memory go that are on disk.
    fn spill(&mut self) {
        if self.written >= self.next() {
            self.recent_first = self.next();
            self.recent.clear();
        }
    }

    /// Brings to the disk what came up while that did not work.
    fn write_rest(&mut self) {
        let stream_id = self.stream_id();
        self.written = self.written.max(self.recent_first);
        let Some(spool) = &mut self.spool else { return };
        let skipped = usize::try_from(self.written - self.recent_first).unwrap_or(usize::MAX);
        for record in self.recent.iter().skip(skipped) {
            let frame = match record {
                Record::Loss(loss) => Frame::Loss(loss.clone(), self.losses.pending().to_vec()),
                record => Frame::Record(record.clone()),
            };
            if !spool.append(stream_id, self.written, &frame) {
                return;
            }
            self.written += 1;
        }
    }

    /// The oldest records that are not acknowledged, of about `bytes` bytes and at most `items`; one at
    /// least, if there is any. May read from the disk.
    pub fn front(&mut self, bytes: usize, items: usize) -> Option<EventBatch> {
        self.refill();
        let stream = self.streams.front()?;
        if !stream.announced {
            return None;
        }
        let records = match self.window.is_empty() {
            false => &self.window,
            true if stream.first == self.recent_first => &self.recent,
            // Another run's that could not be read.
            true => return None,
        };
        let fit = how_many_fit(bytes, records.iter().map(Record::weight)).min(items.max(1));
        let batch = EventBatch {
            stream_id: stream.id,
            first_sequence: stream.first,
            records: records.iter().take(fit).cloned().collect(),
        };
        let stream = self.streams.front_mut()?;
        let (stream_id, next) = (stream.id, stream.first + batch.records.len() as u64);
        stream.sent = stream.sent.max(next);
        if next > stream.handed {
            stream.handed = next;
            let (own, written) = (self.stream_id(), self.written);
            if let Some(spool) = &mut self.spool {
                // So that the next run does not tell as lost what may be stored.
                spool.note(own, written, &Frame::Handed { stream_id, next });
            }
        }
        (!batch.records.is_empty()).then_some(batch)
    }

    /// Reads the records whose turn it is back into memory, unless they are there.
    fn refill(&mut self) {
        while self.window.is_empty() && self.streams.front().is_some_and(|stream| stream.announced)
        {
            let is_own = self.streams.len() == 1;
            let Some(stream) = self.streams.front_mut() else {
                return;
            };
            let behind = if is_own {
                self.recent_first
            } else {
                stream.end
            };
            if stream.first >= behind {
                if is_own {
                    return;
                }
                self.streams.pop_front();
                continue;
            }
            let (id, first) = (stream.id, stream.first);
            let read = self.spool.as_ref().map(|spool| spool.read(id, first));
            match read.unwrap_or(Err(None)) {
                Ok(records) => {
                    self.window = records.into();
                    let most = usize::try_from(behind - first).unwrap_or(usize::MAX);
                    self.window.truncate(most);
                }
                Err(next) => {
                    let next = next.unwrap_or(behind).min(behind);
                    stream.first = next;
                    let now = SystemTime::now();
                    self.lose(id, first, next, now, now);
                }
            }
        }
    }

    /// These sequences, `end` not included, cannot be delivered, unless that was told before.
    fn lose(&mut self, stream_id: u64, first: u64, end: u64, since: SystemTime, until: SystemTime) {
        if first >= end {
            return;
        }
        let range = SequenceRange {
            stream_id,
            first,
            last: end - 1,
        };
        for range in self.losses.unnamed(range) {
            tracing::warn!(
                stream = stream_id,
                first = range.first,
                last = range.last,
                "events are lost"
            );
            self.losses.add(ReportedLoss {
                stage: Stage::Spool.as_str().to_owned(),
                count: range.last - range.first + 1,
                since,
                until,
                range: Some(range),
            });
        }
        self.note_pending();
        self.settle();
    }

    /// Everything of the stream before `next` is stored. Whether that is news; streams that are done
    /// with are none.
    ///
    /// # Errors
    /// The sequence behind the last that was sent, if `next` is beyond it.
    pub fn acknowledge(&mut self, stream_id: u64, next: u64) -> Result<bool, u64> {
        let Some(index) = self
            .streams
            .iter()
            .position(|stream| stream.id == stream_id)
        else {
            return Ok(false);
        };
        let stream = &mut self.streams[index];
        if next > stream.sent {
            return Err(stream.sent);
        }
        if next <= stream.first {
            return Ok(false);
        }
        let stored = usize::try_from(next - stream.first).unwrap_or(usize::MAX);
        stream.first = next;
        let is_done = stream.first >= stream.end;
        if index == 0 {
            self.window.drain(..stored.min(self.window.len()));
        }
        if index + 1 == self.streams.len() {
            let recent = next.saturating_sub(self.recent_first);
            let recent = usize::try_from(recent).unwrap_or(usize::MAX);
            self.recent.drain(..recent.min(self.recent.len()));
            self.recent_first = self.recent_first.max(next);
            self.written = self.written.max(next);
        } else if is_done {
            self.streams.remove(index);
        }
        self.settle();
        self.release(stream_id, next);
        Ok(true)
    }

    /// The collector says up to where it has a stream: what it should have beyond that, and nobody can
    /// send any more, is lost.
    ///
    /// # Errors
    /// As [`Queue::acknowledge`].
    pub fn welcome(&mut self, stream_id: u64, next: u64) -> Result<(), u64> {
        self.acknowledge(stream_id, next)?;
        let first = self.streams.iter().find(|stream| stream.id == stream_id);
        if let Some(first) = first.map(|stream| stream.first) {
            let now = SystemTime::now();
            self.lose(stream_id, next.max(1), first, now, now);
        }
        Ok(())
    }

    /// Writes down which losses have no sequence yet.
    fn note_pending(&mut self) {
        let (stream_id, written) = (self.stream_id(), self.written);
        let pending = Frame::Pending(self.losses.pending().to_vec());
        if let Some(spool) = &mut self.spool {
            spool.note(stream_id, written, &pending);
        }
    }

    /// Numbers the losses whose turn it is.
    fn settle(&mut self) {
        // Without room they wait: each stage takes one place of the reserve at most.
        while self.recent.len() < CAPACITY {
            let (oldest, next) = (self.oldest(), self.next());
            let Some(loss) = self.losses.take_due(oldest, next) else {
                return;
            };
            let pending = self.losses.pending().to_vec();
            self.number(Record::Loss(loss.clone()), Some(Frame::Loss(loss, pending)));
        }
    }

    /// Does what is to be done from time to time: opens the spool if it could not be, writes what is only in
    /// memory, evicts what is too old.
    pub fn maintain(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        if let Some(found) = spool.retry() {
            self.take_found(found);
        }
        if self.written < self.next() {
            self.write_rest();
        }
        self.evict();
    }
}
