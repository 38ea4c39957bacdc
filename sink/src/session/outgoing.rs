//! What is to be sent next on a stream, given what was sent and answered so far.

use std::collections::VecDeque;
use std::hash::Hash;
use std::time::{Duration, SystemTime};

use archtrace_facts::aggregate::Changes;
use archtrace_facts::backoff::Backoff;
use archtrace_facts::node::Preflight;
use archtrace_facts::report::{Heartbeat, StateUpdate, UpdateKind};
use archtrace_proto::v1;
use archtrace_proto::v1::sync_request::Message as Request;
use tokio::time::Instant;

use super::limits::{self, Limits};
use super::snapshot::{self, Part};
use super::{ANSWER_WITHIN, SessionError, from_the_future};
use crate::backoff;
use crate::client::random;
use crate::outbox::Outbox;
use crate::owners::Batch;

/// A collector that asks for a snapshot again within this time is answered ever more slowly.
const CALM: Duration = Duration::from_secs(60);

/// The sending half of a session: facts, events and heartbeats take turns.
pub(super) struct Outgoing<'a, C> {
    epoch: u64,
    outbox: &'a Outbox<C>,
    limits: Limits,
    /// As the collector was told last.
    preflight: Preflight,
    update: Update,
    /// A snapshot is to be sent, but not before this.
    snapshot: Option<Instant>,
    /// What is left of the snapshot that is being sent.
    parts: VecDeque<Part>,
    /// A batch of this stream, up to this sequence, is on its way, since then.
    batch: Option<(u64, u64, Instant)>,
    /// A heartbeat is due.
    beat: bool,
    /// Only heartbeats until then.
    quiet: Option<Instant>,
    /// There was a pause in the middle of an update that cannot be told twice.
    unsure: bool,
    throttles: Backoff,
    resyncs: Backoff,
    last_resync: Option<Instant>,
}

/// Which update of the state is on its way, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Update {
    None,
    Delta(Instant),
    Snapshot(Instant),
}

impl<'a, C: Copy + Eq + Hash> Outgoing<'a, C> {
    /// `preflight` was told in Hello. With `resumed`, the collector holds what was told so far.
    pub(super) fn new(
        epoch: u64,
        outbox: &'a Outbox<C>,
        limits: Limits,
        preflight: Preflight,
        resumed: bool,
    ) -> Self {
        if !resumed {
            outbox.lock().told.settled = false;
        }
        Self {
            epoch,
            outbox,
            limits,
            preflight,
            update: Update::None,
            snapshot: (!resumed).then(Instant::now),
            parts: VecDeque::new(),
            batch: None,
            beat: false,
            quiet: None,
            unsure: false,
            throttles: backoff(),
            resyncs: backoff(),
            last_resync: None,
        }
    }

    /// A heartbeat is due.
    pub(super) fn beat(&mut self) {
        self.beat = true;
    }

    /// When to look again although nothing has happened.
    pub(super) fn wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let snapshot = self.snapshot.max(self.quiet);
        [snapshot, self.quiet]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }

    /// Whether [`Outgoing::next`] would return something.
    pub(super) fn has_something(&self) -> bool {
        if self.beat {
            return true;
        }
        if self.is_quiet() {
            return false;
        }
        if !self.parts.is_empty() || self.snapshot_is_due() {
            return true;
        }
        let contents = self.outbox.lock();
        (self.may_send_delta() && contents.has_changes())
            || (self.batch.is_none() && contents.events.has_some_to_send())
    }

    /// The next message: signs of life first, then what is begun, then facts, then events.
    pub(super) fn next(&mut self) -> Option<Request> {
        if std::mem::take(&mut self.beat) {
            return Some(Request::Heartbeat(self.heartbeat()));
        }
        if self.is_quiet() {
            return None;
        }
        if self.snapshot_is_due() {
            self.begin_snapshot();
        }
        if let Some(part) = self.parts.pop_front() {
            return Some(self.snapshot_part(part));
        }
        if self.may_send_delta()
            && let Some(delta) = self.delta()
        {
            return Some(delta);
        }
        self.events()
    }

    /// Whether it says that something was stored.
    pub(super) fn take_ack(&mut self, ack: v1::Ack) -> Result<bool, SessionError> {
        let v1::Ack {
            revision,
            next_sequence,
            stream_id,
        } = ack;
        let mut contents = self.outbox.lock();
        let is_last = revision == contents.told.revision && self.parts.is_empty();
        let mut progressed = false;
        if is_last && self.update != Update::None {
            contents.confirm();
            self.update = Update::None;
            // Whoever asked for another one meanwhile did so of what came before this.
            self.snapshot = None;
        }
        progressed |= is_last && contents.told.settled;
        let taken = contents.events.acknowledge(stream_id, next_sequence);
        progressed |= taken.map_err(|sent| from_the_future(next_sequence, sent))?;
        if let Some((stream, next, _)) = self.batch
            && stream == stream_id
            && next_sequence >= next
        {
            self.batch = None;
        }
        if progressed {
            contents.link.stored_at = Some(SystemTime::now());
            self.throttles.reset();
        }
        Ok(progressed)
    }

    pub(super) fn take_resync(&mut self, reason: &str) {
        let now = Instant::now();
        let calm = self.last_resync.is_none_or(|last| now - last > CALM);
        let wait = if calm {
            self.resyncs.reset();
            Duration::ZERO
        } else {
            self.resyncs.next(random())
        };
        self.last_resync = Some(now);
        tracing::info!(
            reason = shown(reason),
            ?wait,
            "the collector asks for a snapshot"
        );
        // A snapshot that is on its way may be what it asks for.
        if !matches!(self.update, Update::Snapshot(_)) {
            self.update = Update::None;
        }
        let mut contents = self.outbox.lock();
        contents.link.resyncs += 1;
        contents.told.settled = false;
        drop(contents);
        self.snapshot = Some(now + wait);
    }

    pub(super) fn take_throttle(&mut self, retry_after: Duration, reason: &str) {
        let now = Instant::now();
        let wait = retry_after.max(self.throttles.next(random()));
        tracing::info!(
            reason = shown(reason),
            ?wait,
            "the collector asks for a pause"
        );
        self.outbox.lock().link.throttles += 1;
        self.quiet = Some(now + wait);
        self.batch = None;
        self.parts.clear();
        if self.update != Update::None {
            self.unsure |= self.outbox.lock().table.has_unconfirmed();
            self.update = Update::None;
            self.snapshot = Some(now);
        }
    }

    /// # Errors
    /// If the collector owes an answer for too long.
    pub(super) fn check_answers(&self) -> Result<(), SessionError> {
        let update = match self.update {
            Update::None => None,
            Update::Delta(since) | Update::Snapshot(since) => Some(since),
        };
        let batch = self.batch.map(|(_, _, since)| since);
        let late = |since: Instant| since.elapsed() > ANSWER_WITHIN;
        if update.is_some_and(late) || batch.is_some_and(late) {
            return Err(SessionError::Unanswered);
        }
        Ok(())
    }

    /// The pause is over, and the update before it may have been taken in or not. That matters where it
    /// told of facts that were given up: they would be added once more by a snapshot. A new stream begins
    /// with what the collector holds.
    pub(super) fn is_unsure(&self) -> bool {
        self.unsure && !self.is_quiet()
    }

    fn is_quiet(&self) -> bool {
        self.quiet.is_some_and(|until| until > Instant::now())
    }

    fn snapshot_is_due(&self) -> bool {
        self.snapshot.is_some_and(|at| at <= Instant::now())
    }

    /// What comes up while an update is on its way goes together with the next.
    fn may_send_delta(&self) -> bool {
        self.update == Update::None && self.snapshot.is_none()
    }

    fn begin_snapshot(&mut self) {
        self.snapshot = None;
        self.update = Update::Snapshot(Instant::now());
        let mut contents = self.outbox.lock();
        contents.told.revision += 1;
        contents.told.settled = false;
        let facts = contents.table.take_snapshot();
        let owners = contents.owners.take_snapshot();
        drop(contents);
        self.parts = snapshot::parts(self.limits, owners, facts);
    }

    fn snapshot_part(&mut self, part: Part) -> Request {
        let Part { facts, owners } = part;
        let changes = Changes {
            upserts: facts,
            removed: Vec::new(),
        };
        let kind = if self.parts.is_empty() {
            UpdateKind::SnapshotEnd
        } else {
            UpdateKind::SnapshotChunk
        };
        self.update = Update::Snapshot(Instant::now());
        self.state(kind, changes, owners)
    }

    fn delta(&mut self) -> Option<Request> {
        let Limits { bytes, items } = self.limits;
        let (changes, owners) = {
            let mut contents = self.outbox.lock();
            if !contents.has_changes() {
                return None;
            }
            // Names first: few, and what people look for.
            let (owners, weight) = contents.owners.take_changes(bytes, items);
            let left = items.saturating_sub(owners.owners.len() + owners.images.len());
            let changes = match bytes.checked_sub(weight) {
                Some(rest) if contents.table.has_changes() && (left >= 2 || weight == 0) => {
                    contents.table.take_changes(rest, left)
                }
                _ => Changes::default(),
            };
            contents.told.revision += 1;
            contents.told.settled = false;
            (changes, owners)
        };
        self.update = Update::Delta(Instant::now());
        Some(self.state(UpdateKind::Delta, changes, owners))
    }

    fn state(&self, kind: UpdateKind, changes: Changes, owners: Batch) -> Request {
        let (revision, digest) = {
            let contents = self.outbox.lock();
            (contents.told.revision, contents.table.digest())
        };
        let Changes { upserts, removed } = changes;
        let Batch { owners, images } = owners;
        let update = StateUpdate {
            kind,
            epoch: self.epoch,
            base_revision: match kind {
                UpdateKind::Delta => revision - 1,
                UpdateKind::SnapshotChunk | UpdateKind::SnapshotEnd => 0,
            },
            revision,
            upserts,
            removed,
            owners,
            images,
            digest: (kind != UpdateKind::SnapshotChunk).then_some(digest),
        };
        Request::State((&update).into())
    }

    fn events(&mut self) -> Option<Request> {
        if self.batch.is_some() {
            return None;
        }
        let Limits { bytes, items } = self.limits;
        let batch = self.outbox.lock().events.front(bytes, items)?;
        let next = batch.first_sequence + batch.records.len() as u64;
        self.batch = Some((batch.stream_id, next, Instant::now()));
        Some(Request::Events((&batch).into()))
    }

    /// What it says of facts is what the collector was last heard to hold.
    fn heartbeat(&mut self) -> v1::Heartbeat {
        let contents = self.outbox.lock();
        let preflight = limits::trimmed(contents.report());
        let held = contents.held();
        let beat = Heartbeat {
            revision: held.map_or(0, |(revision, _)| revision),
            digest: held.map(|(_, digest)| digest),
            next_sequence: contents.events.next(),
            preflight: (preflight != self.preflight).then(|| preflight.clone()),
            health: Some(contents.health()),
        };
        self.preflight = preflight;
        (&beat).into()
    }
}

/// A collector's words in the log, whatever they are.
fn shown(text: &str) -> String {
    let text: String = text.chars().take(200).collect();
    archtrace_facts::text::escape(text.as_bytes())
}
