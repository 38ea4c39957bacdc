//! The format of a segment: a header, then frames, each with its length and a checksum.
//!
//! ```text
//! segment  "archspl" version(u8) block(header) block(frame)*
//! block    length(u32) checksum(u32) bytes      little-endian; CRC-32 (IEEE) over length and bytes
//! header   stream(u64) first(u64) text(cluster) text(node) text(collector)     text: length(u16) bytes
//! frame    1 record | 2 loss* | 3 loss loss* | 4 or 5 stream(u64) next(u64)     loss: length(u32) record
//! ```
//!
//! Records are `archtrace.v1.EventRecord`, so that a newer version reads what an older one wrote. The
//! first record of a segment has the sequence `first`, and those that follow have no gap. Frames 2 and
//! 3 say which losses have no sequence yet; the newest of all segments holds.

use archtrace_facts::report::{Record, ReportedLoss};
use archtrace_proto::convert::{decode_record, encode_record};

const MAGIC: &[u8; 7] = b"archspl";
/// Of the format.
const VERSION: u8 = 1;
/// A record is a tenth of this at most: three paths, and each of their bytes may take four.
const MAX_BLOCK: usize = 1 << 20;
/// Length and checksum.
const OVERHEAD: usize = 8;

/// Who wrote a segment, and what its first record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who, and for whom.
    pub owner: Owner,
    /// The stream of its records.
    pub stream_id: u64,
    /// Sequence of the first of them.
    pub first: u64,
}

/// Whose records they are: nobody else's agent sends them, and to nobody else's collector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the node.
    pub node: String,
    /// URL of the collector.
    pub collector: String,
}

/// What stands in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The next record of the stream.
    Record(Record),
    /// Losses that have no sequence yet.
    Pending(Vec<ReportedLoss>),
    /// A loss that is the next record of the stream, and those that have no sequence after that.
    Loss(ReportedLoss, Vec<ReportedLoss>),
    /// Records of a stream before this sequence are stored by the collector.
    Acked {
        /// Which stream.
        stream_id: u64,
        /// First sequence that is not.
        next: u64,
    },
    /// Records of a stream before this sequence were handed out: the collector may have stored them.
    Handed {
        /// Which stream.
        stream_id: u64,
        /// First sequence that was not.
        next: u64,
    },
}

/// What cannot be read: it was cut off, changed, or written by another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the segment is damaged at byte {0}")]
pub struct Damaged(pub usize);

/// Reads a segment from its start to its end, or to where it is damaged.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Header {
    /// As it stands at the start of a segment.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend(self.stream_id.to_le_bytes());
        body.extend(self.first.to_le_bytes());
        for text in [&self.owner.cluster, &self.owner.node, &self.owner.collector] {
            // Names and URLs are far shorter; a cut one is just another owner's.
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            body.extend(length.to_le_bytes());
            body.extend(&text.as_bytes()[..usize::from(length)]);
        }
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        push_block(&mut out, &body);
        out
    }

    fn decode(mut body: &[u8]) -> Option<Self> {
        let (stream_id, first) = (take_u64(&mut body)?, take_u64(&mut body)?);
        let mut text = || {
            let length = u16::from_le_bytes(*body.first_chunk()?);
            let (text, rest) = body[2..].split_at_checked(usize::from(length))?;
            body = rest;
            String::from_utf8(text.to_vec()).ok()
        };
        let owner = Owner {
            cluster: text()?,
            node: text()?,
            collector: text()?,
        };
        let valid = stream_id != 0 && first < u64::MAX / 2;
        valid.then_some(Self {
            owner,
            stream_id,
            first,
        })
    }
}

impl Frame {
    /// As it stands in a segment.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Self::Record(record) => {
                body.push(1);
                body.extend(encode_record(record));
            }
            Self::Pending(pending) => {
                body.push(2);
                pending.iter().for_each(|loss| push_loss(&mut body, loss));
            }
            Self::Loss(loss, pending) => {
                body.push(3);
                push_loss(&mut body, loss);
                pending.iter().for_each(|loss| push_loss(&mut body, loss));
            }
            Self::Acked { stream_id, next } | Self::Handed { stream_id, next } => {
                body.push(if matches!(self, Self::Acked { .. }) {
                    4
                } else {
                    5
                });
                body.extend(stream_id.to_le_bytes());
                body.extend(next.to_le_bytes());
            }
        }
        let mut out = Vec::with_capacity(body.len() + OVERHEAD);
        push_block(&mut out, &body);
        out
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (kind, mut body) = body.split_first()?;
        Some(match kind {
            1 => Self::Record(decode_record(body).ok()?),
            2 => Self::Pending(take_losses(body)?),
            3 => {
                let loss = take_loss(&mut body)?;
                Self::Loss(loss, take_losses(body)?)
            }
            4 => Self::Acked {
                stream_id: take_u64(&mut body)?,
                next: take_u64(&mut body)?,
            },
            5 => Self::Handed {
                stream_id: take_u64(&mut body)?,
                next: take_u64(&mut body)?,
            },
            _ => return None,
        })
    }
}

impl<'a> Reader<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// If these are not the bytes of a segment of this version.
    pub fn new(bytes: &'a [u8]) -> Result<(Header, Self), Damaged> {
        let magic = bytes.strip_prefix(MAGIC).ok_or(Damaged(0))?;
        if magic.first() != Some(&VERSION) {
            return Err(Damaged(MAGIC.len()));
        }
        let mut reader = Self {
            bytes,
            at: MAGIC.len() + 1,
        };
        let header = reader.block()?.ok_or(Damaged(MAGIC.len() + 1))?;
        let header = Header::decode(header).ok_or(Damaged(MAGIC.len() + 1))?;
        Ok((header, reader))
    }

    /// How many bytes were read, all of them good.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// If what follows is none. Whatever stands behind it cannot be trusted, so that every further
    /// call says the same.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Damaged> {
        let before = self.at;
        let Some(body) = self.block()? else {
            return Ok(None);
        };
        let frame = Frame::decode(body);
        if frame.is_none() {
            self.at = before;
        }
        frame.map(Some).ok_or(Damaged(before))
    }

    fn block(&mut self) -> Result<Option<&'a [u8]>, Damaged> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let damaged = Damaged(self.at);
        let length = u32::from_le_bytes(*rest.first_chunk().ok_or(damaged)?);
        let checksum = rest[4..].first_chunk().ok_or(damaged)?;
        let size = usize::try_from(length).map_err(|_| damaged)?;
        if size == 0 || size > MAX_BLOCK {
            return Err(damaged);
        }
        let body = rest[OVERHEAD..].get(..size).ok_or(damaged)?;
        if crc(length, body) != u32::from_le_bytes(*checksum) {
            return Err(damaged);
        }
        self.at += OVERHEAD + size;
        Ok(Some(body))
    }
}

fn push_block(out: &mut Vec<u8>, body: &[u8]) {
    // Bodies are far shorter; what is not would be found to be damaged.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    out.extend(length.to_le_bytes());
    out.extend(crc(length, body).to_le_bytes());
    out.extend(body);
}

/// CRC-32 finds every flipped byte and nearly every torn write; nobody but root writes here.
fn crc(length: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

fn push_loss(body: &mut Vec<u8>, loss: &ReportedLoss) {
    let bytes = encode_record(&Record::Loss(loss.clone()));
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    body.extend(length.to_le_bytes());
    body.extend(bytes);
}

fn take_loss(body: &mut &[u8]) -> Option<ReportedLoss> {
    let length = u32::from_le_bytes(*body.first_chunk()?);
    let (bytes, rest) = body[4..].split_at_checked(usize::try_from(length).ok()?)?;
    *body = rest;
    match decode_record(bytes).ok()? {
        Record::Loss(loss) => Some(loss),
        Record::Event(_) | Record::Handler(_) => None,
    }
}

fn take_losses(mut body: &[u8]) -> Option<Vec<ReportedLoss>> {
    let mut losses = Vec::new();
    while !body.is_empty() {
        losses.push(take_loss(&mut body)?);
    }
    Some(losses)
}

fn take_u64(body: &mut &[u8]) -> Option<u64> {
    let (bytes, rest) = body.split_first_chunk()?;
    *body = rest;
    Some(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_facts::report::SequenceRange;
    use proptest::prelude::*;
    use std::time::{Duration, SystemTime};

    fn loss() -> impl Strategy<Value = ReportedLoss> {
        let range = (1_u64.., 0_u64..1000, 0_u64..1000);
        let time = |seconds: u32| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into());
        (
            "[a-z_]{1,20}",
            0_u64..1000,
            any::<(u32, u32)>(),
            prop::option::of(range),
        )
            .prop_map(move |(stage, count, (since, more), range)| ReportedLoss {
                stage,
                count,
                since: time(since),
                until: time(since.saturating_add(more)),
                range: range.map(|(stream_id, first, more)| SequenceRange {
                    stream_id,
                    first,
                    last: first + more,
                }),
            })
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let losses = || prop::collection::vec(loss(), 0..4);
        prop_oneof![
            loss().prop_map(|loss| Frame::Record(Record::Loss(loss))),
            losses().prop_map(Frame::Pending),
            (loss(), losses()).prop_map(|(loss, pending)| Frame::Loss(loss, pending)),
            any::<(u64, u64)>().prop_map(|(stream_id, next)| Frame::Acked { stream_id, next }),
            any::<(u64, u64)>().prop_map(|(stream_id, next)| Frame::Handed { stream_id, next }),
        ]
    }

    fn read(bytes: &[u8]) -> (Option<Header>, Vec<Frame>) {
        let Ok((header, mut reader)) = Reader::new(bytes) else {
            return (None, Vec::new());
        };
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = reader.next_frame() {
            frames.push(frame);
        }
        (Some(header), frames)
    }

    proptest! {
        /// Wherever a segment is cut, and whichever byte is flipped: what is before is read, and what is
        /// read was written.
        #[test]
        fn what_is_read_was_written(
            frames in prop::collection::vec(frame(), 0..6),
            cut: prop::sample::Index,
            flip: prop::sample::Index,
            bit in 0_u8..8,
        ) {
            let owner = Owner { cluster: "c".to_owned(), node: "n".to_owned(), collector: "u".to_owned() };
            let header = Header { owner, stream_id: 9, first: 3 };
            let mut bytes = header.encode();
            let mut ends = vec![bytes.len()];
            for frame in &frames {
                bytes.extend(frame.encode());
                ends.push(bytes.len());
            }
            prop_assert_eq!(read(&bytes), (Some(header), frames.clone()));
            let whole = |length: usize| ends.iter().filter(|end| **end <= length).count().saturating_sub(1);

            let cut = cut.index(bytes.len());
            let (_, found) = read(&bytes[..cut]);
            prop_assert_eq!(&found[..], &frames[..whole(cut)]);

            let flip = flip.index(bytes.len());
            bytes[flip] ^= 1_u8 << bit;
            let (_, found) = read(&bytes);
            prop_assert_eq!(&found[..], &frames[..whole(flip)]);
        }
    }
}
