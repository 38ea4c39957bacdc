//! What the spool may forget, and what it has to.

use std::time::SystemTime;

use archtrace_facts::report::Record;

use super::Queue;
use super::streams::Stream;
use crate::spool::Segment;
use crate::spool::segment::Frame;

impl Queue {
    /// Has the spool forget what is done with; `next` is what was acknowledged last.
    pub(super) fn release(&mut self, stream_id: u64, next: u64) {
        let own = (self.stream_id(), self.written);
        let Some(spool) = &mut self.spool else { return };
        let needed = |segment: &Segment| {
            let mut streams = self.streams.iter();
            let stream = streams.find(|stream| stream.id == segment.stream_id);
            stream.is_some_and(|stream| segment.end > stream.first)
        };
        spool.release(own, self.losses.pending(), needed);
        let is_partly_done = |segment: &Segment| {
            segment.stream_id == stream_id && segment.first < next.min(segment.end)
        };
        if spool.segments().any(is_partly_done) {
            let acked = Frame::Acked { stream_id, next };
            spool.note(own.0, own.1, &acked);
        }
    }

    /// Evicts the oldest segments, if there are too many or they are too old.
    pub(super) fn evict(&mut self) {
        while let Some((segment, index)) = self.evictable() {
            if index == Some(self.streams.len() - 1) && segment.end > self.recent_first {
                self.spill();
                if segment.end > self.recent_first {
                    return;
                }
                continue;
            }
            let Some(spool) = &mut self.spool else { return };
            let records = spool.forget(&segment);
            if let Some(index) = index {
                self.give_up(&segment, records, index);
            } else {
                self.note_pending();
            }
            self.note_progress();
            if let Some(spool) = &mut self.spool {
                spool.remove(&segment);
            }
        }
    }

    /// Notes again how far each stream is. A segment that goes out of its turn may be where that was noted, and the
    /// next run would tell as lost what may be stored.
    fn note_progress(&mut self) {
        let (own, written) = (self.stream_id(), self.written);
        let Some(spool) = &mut self.spool else { return };
        for &Stream {
            id: stream_id,
            first,
            handed,
            ..
        } in &self.streams
        {
            let is_partly_done =
                |segment: &Segment| segment.stream_id == stream_id && segment.first < first;
            if spool.segments().any(is_partly_done) {
                let next = first;
                spool.note(own, written, &Frame::Acked { stream_id, next });
            }
            if handed > first {
                let next = handed;
                spool.note(own, written, &Frame::Handed { stream_id, next });
            }
        }
    }

    /// Tells the records of a segment as lost that were not delivered.
    fn give_up(&mut self, segment: &Segment, records: Vec<Record>, index: usize) {
        let stream = &mut self.streams[index];
        let first = segment.first.max(stream.first);
        if stream.first >= segment.first {
            stream.first = stream.first.max(segment.end);
        }
        let lost = (segment.first..)
            .zip(records)
            .filter(|(sequence, _)| *sequence >= first);
        let (mut since, mut until) = (SystemTime::now(), SystemTime::UNIX_EPOCH);
        for (_, record) in lost {
            since = since.min(record.time());
            until = until.max(record.time());
            // What it told is not told yet.
            if let Record::Loss(loss) = record {
                self.losses.insert(loss);
            }
        }
        let (stream_id, end) = (segment.stream_id, segment.end);
        self.lose(stream_id, first, end, since, until.max(since));
    }

    /// The oldest segment that should go and may, and its stream: not the one that is written to, nor
    /// those whose records were handed out, because the collector may have them.
    fn evictable(&self) -> Option<(Segment, Option<usize>)> {
        let spool = self.spool.as_ref().filter(|spool| spool.takes())?;
        let index = |segment: &Segment| {
            let mut streams = self.streams.iter();
            streams.position(|stream| stream.id == segment.stream_id)
        };
        let mut segments = spool.segments();
        let segment = segments.find(|segment| {
            let is_out = index(segment).is_some_and(|index| {
                let Stream { first, handed, .. } = self.streams[index];
                let is_read = index == 0 && !self.window.is_empty() && segment.first <= first;
                segment.end > first && (is_read || segment.first < handed)
            });
            !spool.is_current(segment) && !is_out && spool.is_over(segment)
        })?;
        Some((segment.clone(), index(segment)))
    }
}
