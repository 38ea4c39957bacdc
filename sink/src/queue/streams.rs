//! Which streams there are, and how far each has come.

use std::collections::BTreeMap;

use archtrace_facts::report::{EventStream, MAX_EARLIER_STREAMS};
use archtrace_facts::text::escape;

use super::Queue;
use crate::spool::{self, Found, Spool};

/// Records of one run of the agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) id: u64,
    /// The oldest sequence that is neither acknowledged nor lost.
    pub(super) first: u64,
    /// Behind the last that was handed out, also by an earlier run.
    pub(super) handed: u64,
    /// Behind the last that the collector can have.
    pub(super) sent: u64,
    /// Behind the last; not kept for this run's, whose newest are in memory.
    pub(super) end: u64,
    /// The collector was told of it.
    pub(super) announced: bool,
}

impl Stream {
    pub(super) fn own(id: u64) -> Self {
        Self {
            id,
            first: 1,
            handed: 1,
            sent: 1,
            end: 1,
            announced: true,
        }
    }
}

impl Queue {
    /// The stream that new records belong to.
    #[must_use]
    pub fn stream_id(&self) -> u64 {
        self.own().id
    }

    /// Sequence of its oldest record.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.own().first
    }

    /// Sequence that the next record will have.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.recent_first + self.recent.len() as u64
    }

    /// How many records wait to be acknowledged.
    #[must_use]
    pub fn len(&self) -> u64 {
        let earlier = self.streams.iter().rev().skip(1);
        let earlier: u64 = earlier.map(|stream| stream.end - stream.first).sum();
        earlier + self.next() - self.oldest()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many were lost in this run of the agent, by the words of stages; those that were not, are not there.
    #[must_use]
    pub fn lost(&self) -> &BTreeMap<String, u64> {
        self.losses.totals()
    }

    /// How many bytes of them are on disk.
    #[must_use]
    pub fn spooled_bytes(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::bytes)
    }

    /// Where they are kept: `disk`, or why in memory only.
    #[must_use]
    pub fn kept(&self) -> String {
        match self.spool.as_ref().map(|spool| (spool, spool.state())) {
            None => "memory".to_owned(),
            Some((_, Ok(()))) => "disk".to_owned(),
            Some((spool, Err(why))) => {
                escape(format!("memory: {}: {why}", spool.path().display()).as_bytes())
            }
        }
    }

    /// What is missing for them to be kept as they should be, and what that costs.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let spool = self.spool.as_ref()?;
        let why = spool.state().err()?;
        Some(spool::missing(spool.path(), why))
    }

    /// The streams of earlier runs, of which the collector is told before their records: the oldest, if
    /// there are many; the others have their turn with another Hello.
    pub(crate) fn announce(&mut self) -> Vec<EventStream> {
        let earlier = (self.streams.len() - 1).min(MAX_EARLIER_STREAMS);
        let announced = self.streams.iter_mut().take(earlier).map(|stream| {
            stream.announced = true;
            EventStream {
                stream_id: stream.id,
                oldest_sequence: stream.first,
                next_sequence: stream.end,
            }
        });
        announced.collect()
    }

    /// Whether the collector has to be told of a stream before anything else can be sent.
    #[must_use]
    pub(crate) fn has_unannounced(&self) -> bool {
        !self.streams.front().is_some_and(|stream| stream.announced)
    }

    /// Whether [`Queue::front`] may return something.
    #[must_use]
    pub(crate) fn has_some_to_send(&self) -> bool {
        !self.has_unannounced() && !self.is_empty()
    }

    /// Takes over what earlier runs left.
    pub(super) fn take_found(&mut self, found: Found) {
        let Found {
            pending,
            is_news,
            named,
            acked,
            handed,
        } = found;
        self.losses.restore(pending, named);
        let own = self.stream_id();
        let mut earlier: Vec<Stream> = Vec::new();
        for segment in self.spool.iter().flat_map(Spool::segments) {
            if segment.first == segment.end {
                continue;
            }
            let mut known = earlier.iter_mut();
            match known.find(|stream| stream.id == segment.stream_id) {
                Some(stream) => {
                    stream.end = stream.end.max(segment.end);
                    stream.sent = stream.end;
                }
                None => earlier.push(Stream {
                    id: segment.stream_id,
                    first: segment.first,
                    handed: segment.first,
                    sent: segment.end,
                    end: segment.end,
                    announced: false,
                }),
            }
        }
        for stream in &mut earlier {
            let acked = acked.get(&stream.id).copied().unwrap_or(0);
            stream.first = stream.first.max(acked).min(stream.end);
            let handed = handed.get(&stream.id).copied().unwrap_or(0);
            stream.handed = stream.first.max(handed);
        }
        earlier.retain(|stream| stream.first < stream.end);
        // Nothing was read back before there was a disk to read from.
        for stream in earlier.into_iter().rev() {
            self.streams.push_front(stream);
        }
        if is_news {
            self.note_pending();
        }
        self.settle();
        self.release(own, 0);
    }

    pub(super) fn own(&self) -> Stream {
        // There always is one.
        self.streams.back().copied().unwrap_or(Stream::own(0))
    }
}
