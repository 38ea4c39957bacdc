//! What is kept, behind one trait, so that ingest and query know nothing of SQL.
//!
//! Times are given by the caller: a store does not look at clocks.

pub mod postgres;
mod sql;
pub mod sqlite;

use std::future::Future;
use std::time::{Duration, SystemTime};

use archtrace_facts::coverage::{Change, Place, Status};
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Fact, FactId};
use archtrace_facts::fleet::Machine;
use archtrace_facts::image::Image;
use archtrace_facts::node::{Health, Preflight};
use archtrace_facts::report::{EventBatch, Hello, Owner};
use archtrace_query::Read;
use archtrace_query::read::EventPlace;
pub use archtrace_query::read::{Answer, NodeId, StoreError};

/// Keeps what agents report. Whoever implements it passes the conformance tests.
///
/// A method that writes returns after the commit: what it answered survives a crash of the
/// collector and a loss of power. Each is one transaction. Calls for one node are made one after
/// the other by each collector; calls for different nodes at the same time, and calls for one node by
/// several collectors too, while an agent moves.
pub trait Store: Read {
    /// Takes in a node, or a new epoch of one, or the same epoch again. Whoever had a lease on the
    /// node before has none any more.
    ///
    /// An epoch that is new to a known node leaves a loss of stage `agent_down` in the node's
    /// stream 0, from when the store last held all that the agent had to tell until its hooks were
    /// attached again: exactly one for each epoch.
    fn attach(&self, hello: Hello, now: SystemTime) -> impl Answer<Attached>;

    /// Makes the node's facts of this epoch those of the snapshot. Facts it leaves out stay as
    /// history. Counts replace what the same epoch had told, never what others had.
    fn apply_snapshot(
        &self,
        lease: Lease,
        snapshot: Snapshot,
        now: SystemTime,
    ) -> impl Answer<Applied>;

    /// Changes the node's facts, if they are at the revision that the delta starts from.
    ///
    /// What this, or a snapshot, adds to the CPU time of an emulated fact is noted by hour, as used evenly
    /// since the store last held all that the agent had to tell: once, whatever is sent again.
    fn apply_delta(&self, lease: Lease, delta: Delta, now: SystemTime) -> impl Answer<Applied>;

    /// Appends records that are not there yet and counts the gaps between them. Returns the first
    /// sequence of the stream that is not stored. Needs no lease: a record has one place only.
    fn append_events(&self, node: NodeId, batch: EventBatch, now: SystemTime) -> impl Answer<u64>;

    /// Notes that agents are alive: many at once, for they are many. An epoch that is not the node's
    /// current one is none of its signs of life.
    fn heartbeats(&self, beats: Vec<Beat>) -> impl Answer<()>;

    /// Notes how it is with mandated agents, where what is noted is what it was. Returns with how many
    /// changes somebody else was faster: then what is noted is something third, and has to be read anew.
    fn note_standings(&self, changes: Vec<Change>) -> impl Answer<u64>;

    /// How it is noted with every mandated agent on every node.
    fn all_standings(&self) -> impl Answer<Vec<(Place, Status)>>;

    /// Notes what machines nodes are, as the list of nodes says it: the last one told holds, and stays known
    /// when the list names the node no more. Nodes that never reported are left out.
    fn note_machines(&self, machines: Vec<(NodeId, Machine)>) -> impl Answer<()>;

    /// Names what pods belong to, as the Kubernetes API tells it, wherever agents have told of these pods: the
    /// name holds against what is derived from their labels, and their facts change with it. Pods that no
    /// agent has told of are left out. Returns how many owners have another name than before.
    fn name_pods(&self, pods: Vec<NamedPod>) -> impl Answer<u64>;

    /// Deletes events older than `keep.events`, facts that ended longer ago than `keep.history`, how it
    /// was with agents until then, and what only these needed: some of them, so that writers never wait for long. Facts of a node that was
    /// silent for that long end first. CPU time of emulation goes with facts, and is kept by day from the
    /// third day on. Returns how many rows it dealt with, 0 when there are no more.
    ///
    /// Sums over all time (losses, gaps) stay, those of forgotten nodes too; those over what is stored go down.
    fn expire(&self, keep: Keep, now: SystemTime) -> impl Answer<u64>;

    /// Forgets those of these nodes of which nothing was heard since `silent_since`, and returns how many these
    /// were: they are no nodes any more to whoever asks, their facts end, and the images that only they had go.
    /// What happened on them and what they used stays for as long as [`Store::expire`] lets it, which then
    /// removes the last of them too. Whoever attaches such a node takes it in as a new one: with a snapshot,
    /// without a gap before it, and with its records where they were, so that none is stored twice.
    fn forget(&self, nodes: Vec<NodeId>, silent_since: SystemTime) -> impl Answer<u64>;

    /// How many events, losses and changes of handlers of these nodes come after the place given for each,
    /// and are older than `before`.
    fn count_events_after(
        &self,
        nodes: Vec<(NodeId, EventPlace)>,
        before: SystemTime,
    ) -> impl Answer<u64>;

    /// Ends when the store can no longer be written to at all; then the process should end too.
    fn failed(&self) -> impl Future<Output = StoreError> + Send;
}

/// What a pod belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPod {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod, as the kubelet knows it.
    pub uid: String,
    /// Kind and name of what it belongs to.
    pub workload: String,
}

/// The right to change a node's facts: whoever attached it last has it. Without it a stream that
/// outlived its successor's Hello, at this collector or another, could mix its updates in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Of which node.
    pub node: NodeId,
    /// How often the node was attached so far.
    pub session: i64,
}

/// What [`Store::attach`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The node, and the right to change its facts.
    pub lease: Lease,
    /// Revision and digest of its facts in this epoch; `None` until there was a snapshot.
    pub held: Option<(u64, Digest)>,
    /// First sequence of its event stream that is not stored.
    pub next_sequence: u64,
    /// The same for each of [`Hello::earlier_streams`].
    pub earlier_next_sequences: Vec<u64>,
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
    /// What the agent says that its facts' digest is; an agent from before digests says nothing.
    pub digest: Option<Digest>,
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
    /// As in [`Snapshot::digest`].
    pub digest: Option<Digest>,
}

/// Whether an update was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was, and is committed; the digest is that of what is stored now.
    Yes(Digest),
    /// Somebody else attached the node since.
    Superseded,
    /// The node is at another epoch by now.
    OtherEpoch,
    /// What is stored is at this revision, not at that which the delta starts from.
    OtherRevision(Option<u64>),
    /// What would be stored has this digest, not that of the update.
    OtherDigest(Digest),
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Whose.
    pub node: NodeId,
    /// The agent's epoch.
    pub epoch: u64,
    /// When it came.
    pub at: SystemTime,
    /// The revision of the agent's facts. If it is what is stored, the store holds all there is.
    pub revision: u64,
    /// How well the agent can watch, if that changed.
    pub preflight: Option<Preflight>,
    /// How the agent itself does, if that changed.
    pub health: Option<Health>,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Events, losses and changes of handlers, from when they happened.
    pub events: Duration,
    /// Facts that no agent keeps any more, from when they were last seen; and CPU time of emulation, from
    /// when it was used.
    pub history: Duration,
}
