//! What one agent tells a collector: itself, then its facts, then what happened.

use std::time::{Duration, SystemTime};

use crate::digest::Digest;
use crate::fact::{Event, EventKind, Fact, FactId, HandlerChangeKind, Loss};
use crate::identity::Identity;
use crate::image::Image;
use crate::node::{Handler, Health, NodeInfo, Preflight};

/// The first thing an agent says on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Name of the cluster; may be empty.
    pub cluster: String,
    /// The node.
    pub node: NodeInfo,
    /// Random, new at each start of the agent: counts are cumulative within one epoch.
    pub epoch: u64,
    /// When this epoch's hooks were attached: what ran before is not counted.
    pub attached_at: SystemTime,
    /// Random, new at each start of the agent, never 0: names the sequence of events.
    pub event_stream_id: u64,
    /// Oldest event sequence that the agent can still send.
    pub oldest_sequence: u64,
    /// Sequence that its next new event will have.
    pub next_sequence: u64,
    /// How well it can watch the node.
    pub preflight: Preflight,
    /// What the collector holds if all that was sent has arrived: the last revision that was sent in this
    /// epoch, acknowledged or not, and its digest. `None` if nothing was sent.
    pub held: Option<(u64, Digest)>,
    /// What earlier runs of the agent left in its spool.
    pub earlier_streams: Vec<EventStream>,
}

/// A sequence of events of which not all are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventStream {
    /// Its id.
    pub stream_id: u64,
    /// Oldest sequence that the agent can still send.
    pub oldest_sequence: u64,
    /// The one behind the last.
    pub next_sequence: u64,
}

/// The most that [`Hello::earlier_streams`] may be: an agent that keeps crashing leaves one each time. When
/// these are delivered, it says Hello again for the next.
pub const MAX_EARLIER_STREAMS: usize = 16;

/// How long an agent waits for the answer to [`Hello`]: when all come at once, after a restart of the
/// collector, the last is welcomed when the others' are stored.
pub const WELCOME_WITHIN: Duration = Duration::from_secs(60);

/// What the collector answers: it knows this node now, and the agent may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// How often it wants to hear from the agent, at least.
    pub heartbeat_interval: Duration,
    /// Largest message the collector takes, in bytes.
    pub max_message_bytes: u32,
    /// First sequence of [`Hello::event_stream_id`] that is not stored yet.
    pub next_sequence: u64,
    /// The collector holds what [`Hello::held`] says, so that deltas may follow.
    pub resume: bool,
    /// First sequence that is not stored of each of [`Hello::earlier_streams`].
    pub earlier_next_sequences: Vec<u64>,
    /// Most facts, owners, images and removals together in one update, and records in one batch; no
    /// limit but the message's size if 0.
    pub max_items: u32,
}

/// A sign of life of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Revision of its facts that was acknowledged last.
    pub revision: u64,
    /// The digest of the facts at that revision; an agent from before digests says nothing.
    pub digest: Option<Digest>,
    /// Sequence that its next new event will have.
    pub next_sequence: u64,
    /// How well it can watch, if that changed.
    pub preflight: Option<Preflight>,
    /// How it does itself.
    pub health: Option<Health>,
}

/// What the collector could not store comes again, but not before this has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// How long to wait.
    pub retry_after: Duration,
    /// Why, for the agent's log.
    pub reason: String,
}

/// Facts, as a change from one revision to another.
#[derive(Clone, Debug, PartialEq)]
pub struct StateUpdate {
    /// Which part of what.
    pub kind: UpdateKind,
    /// That of [`Hello`].
    pub epoch: u64,
    /// For a delta: the revision it changes.
    pub base_revision: u64,
    /// The revision that the facts have afterwards.
    pub revision: u64,
    /// New and changed facts.
    pub upserts: Vec<Fact>,
    /// Facts the agent no longer keeps, after the upserts, which may hold their last numbers. Seen
    /// again in the same epoch, they count from zero, and the collector adds that to what it has.
    pub removed: Vec<FactId>,
    /// Whose cgroups are, where more is known than their paths say. Facts and events name their cgroup;
    /// who it belongs to may be told before or after them, and stays known when the cgroup is gone.
    pub owners: Vec<Owner>,
    /// Images of the node's containers, new or with more that is known of them.
    pub images: Vec<Image>,
    /// Of the last part of a snapshot and of a delta: the digest of all facts told in this epoch and not
    /// removed, this update included. An agent from before digests says nothing.
    pub digest: Option<Digest>,
}

/// Whose a cgroup is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Path of the cgroup, as in [`crate::fact::FactKey::cgroup`].
    pub cgroup: String,
    /// Who.
    pub identity: Identity,
}

impl Owner {
    /// About how many bytes it takes in a message.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.cgroup.len() + self.identity.weight()
    }
}

/// Which part of a [`StateUpdate`] this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateKind {
    /// A part of a snapshot; more follow.
    SnapshotChunk,
    /// The last part of a snapshot.
    SnapshotEnd,
    /// Changes since `base_revision`.
    Delta,
}

/// Consecutive records of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBatch {
    /// That of [`Hello`].
    pub stream_id: u64,
    /// Sequence of the first record; the others follow without a gap.
    pub first_sequence: u64,
    /// The records.
    pub records: Vec<Record>,
}

/// One entry of an event stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Something happened.
    Event(Event),
    /// Something was not delivered.
    Loss(ReportedLoss),
    /// A handler of `binfmt_misc` came or went.
    Handler(HandlerChange),
}

/// The registry of `binfmt_misc` changed: from now on other files are emulated, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerChange {
    /// When that was seen.
    pub time: SystemTime,
    /// What happened; a handler that was replaced is removed and added.
    pub kind: HandlerChangeKind,
    /// The handler.
    pub handler: Handler,
}

/// A [`Loss`] as it is passed on. The stage is a word and not a [`crate::fact::Stage`], so that a newer
/// agent's stages pass through an older collector: a loss must never be dropped for its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedLoss {
    /// Where.
    pub stage: String,
    /// How many; 0 when that cannot be known.
    pub count: u64,
    /// When the first of them may have been lost.
    pub since: SystemTime,
    /// When the last of them may have been lost.
    pub until: SystemTime,
    /// Which sequences, if they had some already. Ranges of different losses do not overlap.
    pub range: Option<SequenceRange>,
}

/// Consecutive sequences of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceRange {
    /// Which stream of the node's.
    pub stream_id: u64,
    /// The first.
    pub first: u64,
    /// The last, included.
    pub last: u64,
}

impl From<Loss> for ReportedLoss {
    fn from(
        Loss {
            stage,
            count,
            since,
            until,
        }: Loss,
    ) -> Self {
        Self {
            stage: stage.as_str().to_owned(),
            count,
            since,
            until,
            range: None,
        }
    }
}

/// How many of the first items fit into `budget` bytes; one at least, if there is any.
#[must_use]
pub fn how_many_fit(budget: usize, weights: impl IntoIterator<Item = usize>) -> usize {
    let mut sum = 0;
    let mut count = 0;
    for weight in weights {
        sum += weight;
        if count > 0 && sum > budget {
            break;
        }
        count += 1;
    }
    count
}

impl Record {
    /// About how many bytes it takes in a message.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Event(event) => event.weight(),
            Self::Loss(loss) => 100 + loss.stage.len(),
            Self::Handler(change) => change.handler.weight(),
        }
    }

    /// When it happened; a loss when it ended.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        match self {
            Self::Event(event) => event.time,
            Self::Loss(loss) => loss.until,
            Self::Handler(change) => change.time,
        }
    }

    /// The word that people filter by: that of the event's or change's kind, or `loss`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Event(event) => event.kind.as_str(),
            Self::Loss(_) => "loss",
            Self::Handler(change) => change.kind.as_str(),
        }
    }

    /// Every word that [`Record::kind`] returns.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        let events = EventKind::ALL.iter().map(|kind| kind.as_str());
        let changes = HandlerChangeKind::ALL.iter().map(|kind| kind.as_str());
        events.chain(changes).chain(["loss"])
    }
}

#[cfg(test)]
mod tests {
    use super::how_many_fit;

    #[test]
    fn at_least_one_goes_even_if_it_is_too_large() {
        for (weights, fit) in [
            (&[][..], 0),
            (&[500], 1),
            (&[40, 60], 2),
            (&[40, 61], 1),
            (&[10, 10, 500, 1], 2),
        ] {
            assert_eq!(
                how_many_fit(100, weights.iter().copied()),
                fit,
                "{weights:?}"
            );
        }
    }
}
