//! What is kept, behind one trait, so that ingest and query know nothing of SQL.
//!
//! Times are given by the caller: a store does not look at clocks.

pub mod sqlite;

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use archtrace_facts::fact::{Fact, FactId};
use archtrace_facts::fleet::{Filter, FleetImage, NodeEvent, NodeFact, NodeStatus, Totals};
use archtrace_facts::image::Image;
use archtrace_facts::node::Preflight;
use archtrace_facts::report::{EventBatch, Hello, Owner};

/// Keeps what agents report. Whoever implements it passes the conformance tests.
///
/// A method that writes returns after the commit: what it answered survives a crash of the
/// collector and a loss of power. Each is one transaction. Calls for one node are made one after
/// the other; calls for different nodes at the same time.
pub trait Store: Send + Sync + 'static {
    /// Takes in a node, or a new epoch of one, or the same epoch again.
    ///
    /// An epoch that is new to a known node leaves a loss of stage `agent_down` in the node's
    /// stream 0, from when the store last held all that the agent had to tell until its hooks were
    /// attached again: exactly one for each epoch.
    fn attach(&self, hello: Hello, now: SystemTime) -> impl Answer<Attached>;

    /// Makes the node's facts of this epoch those of the snapshot. Facts it leaves out stay as
    /// history. Counts replace what the same epoch had told, never what others had.
    fn apply_snapshot(
        &self,
        node: NodeId,
        snapshot: Snapshot,
        now: SystemTime,
    ) -> impl Answer<Applied>;

    /// Changes the node's facts, if they are at the revision that the delta starts from.
    fn apply_delta(&self, node: NodeId, delta: Delta, now: SystemTime) -> impl Answer<Applied>;

    /// Appends records that are not there yet and counts the gaps between them. Returns the first
    /// sequence of the stream that is not stored.
    fn append_events(&self, node: NodeId, batch: EventBatch, now: SystemTime) -> impl Answer<u64>;

    /// Notes that the agent is alive.
    fn heartbeat(&self, node: NodeId, beat: Beat, now: SystemTime) -> impl Answer<()>;

    /// Facts, newest first by when they were first stored: an order that never changes.
    fn facts(&self, query: FactQuery) -> impl Answer<Vec<(FactCursor, NodeFact)>>;

    /// Events, losses and changes of handlers, newest first.
    fn events(&self, query: EventQuery) -> impl Answer<Vec<(EventCursor, NodeEvent)>>;

    /// Images, newest first by when they were first stored.
    fn images(&self, query: ImageQuery) -> impl Answer<Vec<(ImageCursor, FleetImage)>>;

    /// Nodes, in the order in which they first reported.
    fn nodes(&self, query: NodeQuery) -> impl Answer<Vec<(NodeId, NodeStatus)>>;

    /// Sums over everything. Nodes that were heard since `alive_since` are reporting.
    fn totals(&self, alive_since: SystemTime) -> impl Answer<Totals>;

    /// Ends when the store can no longer be written to at all; then the process should end too.
    fn failed(&self) -> impl Future<Output = StoreError> + Send;
}

/// What a store's methods return.
pub trait Answer<T>: Future<Output = Result<T, StoreError>> + Send {}

impl<T, F: Future<Output = Result<T, StoreError>> + Send> Answer<T> for F {}

/// A node within one store. Higher ones came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub i64);

/// What [`Store::attach`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The node.
    pub node: NodeId,
    /// Revision of its facts in this epoch; `None` until there was a snapshot.
    pub revision: Option<u64>,
    /// First sequence of its event stream that is not stored.
    pub next_sequence: u64,
}

/// All facts that an agent has in its epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The agent's epoch.
    pub epoch: u64,
    /// The revision that these facts are.
    pub revision: u64,
    /// The facts.
    pub facts: Vec<Fact>,
    /// Whose cgroups are; those of others stay as they are.
    pub owners: Vec<Owner>,
    /// Images of the node's containers; others stay as they are.
    pub images: Vec<Image>,
}

/// A change of an agent's facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    /// The agent's epoch.
    pub epoch: u64,
    /// The revision that it changes.
    pub base_revision: u64,
    /// The revision that results.
    pub revision: u64,
    /// New and changed facts.
    pub upserts: Vec<Fact>,
    /// Facts that the agent no longer keeps, after the upserts, which may hold their last numbers.
    pub removed: Vec<FactId>,
    /// Whose cgroups are, new or changed.
    pub owners: Vec<Owner>,
    /// Images, new or with more that is known of them.
    pub images: Vec<Image>,
}

/// Whether an update was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was, and is committed.
    Yes,
    /// The node is at another epoch by now.
    OtherEpoch,
    /// What is stored is at this revision, not at that which the delta starts from.
    OtherRevision(Option<u64>),
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The agent's epoch.
    pub epoch: u64,
    /// The revision of the agent's facts. If it is what is stored, the store holds all there is.
    pub revision: u64,
    /// How well the agent can watch, if that changed.
    pub preflight: Option<Preflight>,
}

/// Which facts.
#[derive(Clone, Debug, PartialEq)]
pub struct FactQuery {
    /// Conditions; `since` is about `last_seen`.
    pub filter: Filter,
    /// Only facts with processes alive.
    pub running: bool,
    /// Nodes heard since then are current; facts of others have no processes.
    pub alive_since: SystemTime,
    /// Only what comes after this one.
    pub after: Option<FactCursor>,
    /// At most this many.
    pub limit: u32,
}

/// Position of a fact in the order of [`Store::facts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactCursor(pub i64);

/// Which images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageQuery {
    /// Only those of containers on these nodes; of all if empty.
    pub nodes: Vec<String>,
    /// Only those of which a name contains one of these; all if empty.
    pub names: Vec<String>,
    /// Only what comes after this one.
    pub after: Option<ImageCursor>,
    /// At most this many.
    pub limit: u32,
}

/// Position of an image in the order of [`Store::images`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageCursor(pub i64);

/// Which events, losses and changes of handlers.
#[derive(Clone, Debug, PartialEq)]
pub struct EventQuery {
    /// Conditions; those on names and modes leave losses and changes of handlers out, and those on
    /// architectures losses.
    pub filter: Filter,
    /// Words of [`archtrace_facts::report::Record::kind`]; all if empty.
    pub kinds: Vec<String>,
    /// Only what comes after this one.
    pub after: Option<EventCursor>,
    /// At most this many.
    pub limit: u32,
}

/// Position of an event in the order of [`Store::events`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventCursor {
    /// Nanoseconds since 1970.
    pub time: i64,
    /// Whose.
    pub node: NodeId,
    /// Which of its streams.
    pub stream_id: u64,
    /// Where in the stream.
    pub sequence: u64,
}

/// Which nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeQuery {
    /// Their names; all if empty.
    pub names: Vec<String>,
    /// Nodes heard since then are reporting.
    pub alive_since: SystemTime,
    /// Only what comes after this one.
    pub after: Option<NodeId>,
    /// At most this many.
    pub limit: u32,
}

/// Why a store did not do what it was asked to. It can be shared: a commit answers many callers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be used at all.
    #[error("cannot open the store {store}: {reason}; {hint}")]
    Open {
        /// As the option named it.
        store: String,
        /// What went wrong.
        reason: Arc<dyn Error + Send + Sync>,
        /// What to do next.
        hint: &'static str,
    },
    /// It refused this operation.
    #[error("the store {store} failed to {what}: {reason}")]
    Failed {
        /// As the option named it.
        store: Arc<str>,
        /// Which operation.
        what: &'static str,
        /// What went wrong.
        reason: Arc<dyn Error + Send + Sync>,
    },
    /// Its writer ended, so nothing can be committed any more.
    #[error("the writer of the store {0} has ended")]
    Closed(Arc<str>),
}
