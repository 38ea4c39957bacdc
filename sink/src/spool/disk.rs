//! The segments as they lie on the disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use archtrace_facts::report::Record;

use super::dir::{self, Dir};
use super::segment::{Frame, Header, Owner, Reader};

/// Files in a directory that nobody else writes to.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) dir: Dir,
    /// Oldest first. The last one is written to if `file` is there.
    pub(super) segments: VecDeque<Segment>,
    pub(super) file: Option<File>,
    pub(super) next_number: u64,
    /// The segment with the newest losses without a sequence, if there are any.
    pub(super) pending_in: Option<u64>,
}

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(super) number: u64,
    /// The stream of its records.
    pub(crate) stream_id: u64,
    /// Sequence of the first.
    pub(crate) first: u64,
    /// Sequence behind the last.
    pub(crate) end: u64,
    pub(super) bytes: u64,
    /// When it was begun or, by an earlier run, last written to; and how old it was then.
    pub(super) since: Instant,
    pub(super) age: Duration,
}

impl Segment {
    pub(super) fn age(&self) -> Duration {
        self.age + self.since.elapsed()
    }
}

impl Disk {
    /// Appends a frame, which counts for so many records; begins a segment where it does not go on.
    pub(super) fn write(
        &mut self,
        owner: &Owner,
        (size, max_age): (u64, Duration),
        stream_id: u64,
        sequence: u64,
        frame: &Frame,
        records: u64,
    ) -> io::Result<()> {
        let mut bytes = frame.encode();
        let fits = |segment: &Segment| {
            // So that old ones can be told from new ones.
            let young = segment.age() < max_age / 8;
            let follows = segment.stream_id == stream_id && segment.end == sequence;
            segment.bytes == 0 || (follows && young && segment.bytes + bytes.len() as u64 <= size)
        };
        if !(self.file.is_some() && self.segments.back().is_some_and(fits)) {
            self.begin()?;
        }
        let (Some(segment), Some(file)) = (self.segments.back_mut(), &mut self.file) else {
            return Err(io::Error::other("there is no segment"));
        };
        if segment.bytes == 0 {
            let header = Header {
                owner: owner.clone(),
                stream_id,
                first: sequence,
            };
            bytes.splice(0..0, header.encode());
            segment.stream_id = stream_id;
            (segment.first, segment.end) = (sequence, sequence);
            segment.since = Instant::now();
        }
        if let Err((error, is_whole)) = dir::append(file, segment.bytes, &bytes) {
            let (number, is_empty) = (segment.number, segment.bytes == 0);
            if is_empty || !is_whole {
                self.file = None;
            }
            if is_empty {
                self.segments.pop_back();
                self.dir.remove(number);
            }
            return Err(error);
        }
        segment.bytes += bytes.len() as u64;
        segment.end += records;
        match frame {
            Frame::Pending(pending) | Frame::Loss(_, pending) => {
                self.pending_in = (!pending.is_empty()).then_some(segment.number);
            }
            Frame::Record(_) | Frame::Acked { .. } | Frame::Handed { .. } => {}
        }
        Ok(())
    }

    /// Begins a segment, which gets its header with what is written first.
    fn begin(&mut self) -> io::Result<()> {
        let number = self.next_number;
        let file = self.dir.create(number)?;
        self.next_number += 1;
        if let Some(full) = self.file.replace(file) {
            self.dir.sync_then_remove(Some(&full), Vec::new());
        }
        self.segments.push_back(Segment {
            number,
            stream_id: 0,
            first: 0,
            end: 0,
            bytes: 0,
            since: Instant::now(),
            age: Duration::ZERO,
        });
        Ok(())
    }

    /// Nothing of the segment that is written to is needed: it begins anew.
    pub(super) fn clear_current(&mut self) {
        let (Some(segment), Some(file)) = (self.segments.back_mut(), &self.file) else {
            return;
        };
        if segment.bytes > 0 && file.set_len(0).is_ok() {
            segment.bytes = 0;
            (segment.first, segment.end) = (0, 0);
        }
    }

    /// The records of a segment, as far as they can be read.
    pub(super) fn read(&self, segment: &Segment) -> Vec<Record> {
        let Ok((bytes, _)) = self.dir.read(segment.number) else {
            return Vec::new();
        };
        let Ok((_, mut reader)) = Reader::new(&bytes) else {
            return Vec::new();
        };
        let mut records = Vec::new();
        while let Ok(Some(frame)) = reader.next_frame() {
            match frame {
                Frame::Record(record) => records.push(record),
                Frame::Loss(loss, _) => records.push(Record::Loss(loss)),
                Frame::Pending(_) | Frame::Acked { .. } | Frame::Handed { .. } => {}
            }
        }
        let most = usize::try_from(segment.end - segment.first).unwrap_or(usize::MAX);
        records.truncate(most);
        records
    }
}
