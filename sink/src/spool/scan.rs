//! What earlier runs left.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant, SystemTime};

use archtrace_facts::fact::Stage;
use archtrace_facts::report::{Record, ReportedLoss, SequenceRange};

use super::dir::Dir;
use super::disk::Segment;
use super::segment::{Frame, Owner, Reader};

/// What is there, and what is not.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Losses without a sequence: those of the last run, and what was found to be lost now.
    pub(crate) pending: Vec<ReportedLoss>,
    /// Whether `pending` has something that no segment says.
    pub(crate) is_news: bool,
    /// What losses on disk name already.
    pub(crate) named: Vec<SequenceRange>,
    /// Up to where the collector has each stream, as far as it was heard.
    pub(crate) acked: BTreeMap<u64, u64>,
    /// Up to where it may have each stream.
    pub(crate) handed: BTreeMap<u64, u64>,
}

type Scanned = (Found, VecDeque<Segment>, u64, Option<u64>);

/// Looks at all segments, and removes those that nobody needs.
pub(super) fn scan(dir: &Dir, owner: &Owner) -> io::Result<Scanned> {
    let mut found = Found::default();
    let mut segments = VecDeque::<Segment>::new();
    let mut pending_in = None;
    // Records for somebody else; and segments of which it is not known what they hold.
    let (mut foreign, mut damaged) = (0, false);
    // Streams, and where something of them is missing.
    let mut torn = Vec::new();
    let numbers = dir.list()?;
    let next_number = numbers.last().map_or(0, |last| last.saturating_add(1));
    for number in numbers {
        let (bytes, age) = match dir.read(number) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(number, %error, "a segment of the spool cannot be read");
                (vec![0], 0)
            }
        };
        if bytes.is_empty() {
            // Its first record was never written.
            dir.remove(number);
            continue;
        }
        let Ok((header, mut reader)) = Reader::new(&bytes) else {
            damaged = true;
            dir.remove(number);
            continue;
        };
        let mut frames = Vec::new();
        let mut is_torn = false;
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => {
                    is_torn = true;
                    break;
                }
            }
        }
        let is_record = |frame: &&Frame| matches!(frame, Frame::Record(_) | Frame::Loss(..));
        let records = frames.iter().filter(is_record).count() as u64;
        if header.owner != *owner {
            foreign += records;
            dir.remove(number);
            continue;
        }
        if is_torn {
            torn.push((header.stream_id, header.first.saturating_add(records)));
            // Else it would be found again.
            let _ = dir.cut(number, reader.position());
        }
        for frame in frames {
            match frame {
                Frame::Record(Record::Loss(loss)) => found.named.extend(loss.range),
                Frame::Record(Record::Event(_) | Record::Handler(_)) => {}
                Frame::Pending(pending) => {
                    pending_in = (!pending.is_empty()).then_some(number);
                    found.pending = pending;
                }
                Frame::Loss(loss, pending) => {
                    pending_in = (!pending.is_empty()).then_some(number);
                    found.named.extend(loss.range);
                    found.pending = pending;
                }
                Frame::Acked { stream_id, next } => {
                    let acked = found.acked.entry(stream_id).or_default();
                    *acked = next.max(*acked);
                }
                Frame::Handed { stream_id, next } => {
                    let handed = found.handed.entry(stream_id).or_default();
                    *handed = next.max(*handed);
                }
            }
        }
        segments.push_back(Segment {
            number,
            stream_id: header.stream_id,
            first: header.first,
            end: header.first.saturating_add(records),
            bytes: reader.position() as u64,
            since: Instant::now(),
            age: Duration::from_secs(age),
        });
    }
    // What is missing within a stream is known by what follows.
    damaged |= torn.iter().any(|(stream_id, end)| {
        let mut others = segments.iter();
        !others.any(|segment| {
            let is_behind = segment.first >= *end && segment.end > segment.first;
            segment.stream_id == *stream_id && is_behind
        })
    });
    let named = found.pending.iter().filter_map(|loss| loss.range);
    found.named.extend(named);
    // An eviction that was interrupted between what it wrote and what it removed.
    segments.retain(|segment| {
        let last = segment.end.saturating_sub(1);
        let is_last = |range: &SequenceRange| {
            range.stream_id == segment.stream_id && (range.first..=range.last).contains(&last)
        };
        let evicted = segment.end > segment.first && found.named.iter().any(is_last);
        if evicted {
            dir.remove(segment.number);
        }
        !evicted
    });
    if foreign > 0 {
        tracing::warn!(
            foreign,
            "the spool held events for another collector, or of another node"
        );
        found.lose(foreign);
    }
    if damaged {
        // How many is not known.
        tracing::warn!("the spool was damaged; what could not be read is cut off");
        found.lose(0);
    }
    Ok((found, segments, next_number, pending_in))
}

impl Found {
    fn lose(&mut self, count: u64) {
        let now = SystemTime::now();
        self.is_news = true;
        self.pending.push(ReportedLoss {
            stage: Stage::Spool.as_str().to_owned(),
            count,
            since: now,
            until: now,
            range: None,
        });
    }
}
