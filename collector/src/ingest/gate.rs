//! Agents' messages as they come in, bounded in what they take in memory together.
//!
//! After an outage every agent has much to tell, and all tell it at once: 10,000 messages of half a
//! megabyte are 5 GB. A message over gRPC says first how long it is. So a large one is read only when
//! there is room for it, and the room is given back when it was dealt with; until then HTTP/2's flow
//! control holds it back at the agent. Nothing of a message stays when it was taken apart: tonic's own
//! reader keeps a buffer as large as the largest for as long as the stream lives.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use archtrace_proto::v1::SyncRequest;
use http_body_util::BodyExt as _;
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::bytes::{Buf, Bytes};
use tonic::Status;
use tonic::body::Body;

use super::MAX_MESSAGE_BYTES;

/// Bytes of large messages that are read or dealt with at once. A message is some four times as large
/// once it is taken apart, so that these are 20 MB at worst; and 300 snapshots of 30 facts, more than the
/// store commits together.
const ROOM: usize = 4 << 20;

/// Smaller messages pass: heartbeats have to, however much the others tell. 10,000 of them are 40 MB.
const SMALL: usize = 4096;

/// Of a message: whether it is compressed, and its length
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
const HEAD: usize = 5;

/// The room that all streams share.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

/// The room that one stream's last message takes.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<Option<OwnedSemaphorePermit>>);

impl Gate {
    /// A message was read.
    pub(super) fn hold(&self, share: Option<OwnedSemaphorePermit>) {
        // An assignment cannot be left half done.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = share;
    }

    /// The message was dealt with.
    pub(super) fn release(&self) {
        self.hold(None);
    }
}

/// Takes the messages out of a request; whoever serves it finds them as a [`Letters`].
pub(crate) fn take_messages(room: &Room, request: http::Request<Body>) -> http::Request<Body> {
    let (mut head, body) = request.into_parts();
    let letters = Letters(Arc::new(Mutex::new(Some(Inbox::new(room, body)))));
    head.extensions.insert(letters);
    http::Request::from_parts(head, Body::empty())
}

/// Hands the messages of a request to one who reads them.
#[derive(Clone)]
pub(super) struct Letters(Arc<Mutex<Option<Inbox>>>);

impl Letters {
    pub(super) fn take(&self) -> Option<Inbox> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// One stream's messages.
pub(super) struct Inbox {
    body: Body,
    room: Room,
    /// Read, and not taken apart yet.
    rest: Bytes,
    /// The start of a message, until it is whole.
    head: Vec<u8>,
    /// How long the message is that is being read, how much of it is there, and its share of the room.
    length: Option<usize>,
    parts: Parts,
    share: Option<OwnedSemaphorePermit>,
}

impl Inbox {
    fn new(room: &Room, body: Body) -> Self {
        Self {
            body,
            room: room.clone(),
            rest: Bytes::new(),
            head: Vec::new(),
            length: None,
            parts: Parts::default(),
            share: None,
        }
    }

    /// The next message, and its share of the room; `None` at the end. Whoever gives up waiting can ask
    /// again, and nothing is lost.
    pub(super) async fn message(
        &mut self,
    ) -> Result<Option<(SyncRequest, Option<OwnedSemaphorePermit>)>, Status> {
        loop {
            let Some(length) = self.length else {
                if self.read_head()? {
                    continue;
                }
                if self.read_more().await? {
                    continue;
                }
                if self.head.is_empty() {
                    return Ok(None);
                }
                return Err(cut_off());
            };
            if length > SMALL && self.share.is_none() {
                // One MiB at most, and the semaphore is never closed.
                let bytes = u32::try_from(length).unwrap_or(u32::MAX);
                let room = Arc::clone(&self.room.0);
                self.share = room.acquire_many_owned(bytes).await.ok();
            }
            let more = (length - self.parts.remaining()).min(self.rest.len());
            if more > 0 {
                self.parts.push(self.rest.split_to(more));
            }
            if self.parts.remaining() == length {
                let request = self.take_apart()?;
                return Ok(Some((request, self.share.take())));
            }
            if !self.read_more().await? {
                return Err(cut_off());
            }
        }
    }

    /// Whether the next message is there, and not read because of all the others.
    pub(super) fn waits_for_room(&self) -> bool {
        self.length.is_some_and(|length| length > SMALL) && self.share.is_none()
    }

    /// Whether the head is whole now, and a message begins.
    fn read_head(&mut self) -> Result<bool, Status> {
        let more = (HEAD - self.head.len()).min(self.rest.len());
        self.head.extend_from_slice(&self.rest.split_to(more));
        let Ok([compressed, length @ ..]) = <[u8; HEAD]>::try_from(&*self.head) else {
            return Ok(false);
        };
        self.head.clear();
        if compressed != 0 {
            return Err(Status::internal(
                "a message is compressed, or none of gRPC's; this collector takes plain ones",
            ));
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE_BYTES {
            return Err(Status::out_of_range(format!(
                "a message of {length} bytes is too large; Welcome said {MAX_MESSAGE_BYTES}"
            )));
        }
        self.length = Some(length);
        Ok(true)
    }

    /// Whether there was more.
    async fn read_more(&mut self) -> Result<bool, Status> {
        while self.rest.is_empty() {
            let Some(frame) = self.body.frame().await.transpose()? else {
                return Ok(false);
            };
            // Trailers say nothing to us.
            self.rest = frame.into_data().unwrap_or_default();
        }
        Ok(true)
    }

    fn take_apart(&mut self) -> Result<SyncRequest, Status> {
        self.length = None;
        let parts = std::mem::take(&mut self.parts);
        SyncRequest::decode(parts)
            .map_err(|error| Status::internal(format!("a message does not read: {error}")))
    }
}

/// A message as it came in, which is not put together before it is taken apart: a buffer of its size would
/// be one more that is touched from end to end, for each of ten thousand agents at once.
#[derive(Debug, Default)]
struct Parts {
    parts: VecDeque<Bytes>,
    /// Bytes that are left.
    left: usize,
}

impl Parts {
    fn push(&mut self, part: Bytes) {
        self.left += part.len();
        self.parts.push_back(part);
    }
}

impl Buf for Parts {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(&[], |part| part)
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(first) = self.parts.front_mut()
            && count > 0
        {
            let step = count.min(first.len());
            first.advance(step);
            (count, self.left) = (count - step, self.left - step);
            if first.is_empty() {
                self.parts.pop_front();
            }
        }
    }
}

fn cut_off() -> Status {
    Status::internal("the stream ended in the middle of a message")
}

#[cfg(test)]
mod tests;
