//! What a collector answers: the facts and events of many nodes, and how sure it is of each.

mod coverage;
mod found;
mod machine;
mod stream;
mod summary;

pub use coverage::{Coverage, ExpectedNode, ExpectedNodes};
pub use found::{FleetFinding, SubjectKind};
pub use machine::Machine;
pub use stream::{EventUpdate, FactUpdate, RemovedFact};
pub use summary::{Dimension, Summary, SummaryRow};

use std::time::{Duration, SystemTime};

use crate::arch::Arch;
use crate::coverage::InForce;
use crate::fact::Fact;
use crate::finding;
use crate::identity::Identity;
use crate::image::Image;
use crate::node::{Health, NodeInfo, Preflight};
use crate::report::Record;

/// A fact of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeFact {
    /// Cluster of the node; may be empty.
    pub cluster: String,
    /// Name of the node.
    pub node: String,
    /// Instruction set of the node.
    pub node_arch: Arch,
    /// The fact; `count` and `cpu_ns` are sums over all epochs.
    pub fact: Fact,
    /// Whose its cgroup is.
    pub identity: Identity,
    /// Whether the node's agent reports now. `processes` is 0 otherwise.
    pub current: bool,
    /// History: the agent does not keep it any more.
    pub ended: bool,
}

/// An event, a loss or a change of a handler of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEvent {
    /// Cluster of the node; may be empty.
    pub cluster: String,
    /// Name of the node.
    pub node: String,
    /// Instruction set of the node.
    pub node_arch: Arch,
    /// Which sequence of the node; 0 is the collector's own.
    pub stream_id: u64,
    /// Position in that sequence.
    pub sequence: u64,
    /// What it is.
    pub record: Record,
    /// Whose the cgroup of an event is; of losses and changes of handlers nothing.
    pub identity: Identity,
}

/// An image, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetImage {
    /// What is known of it.
    pub image: Image,
    /// How many nodes have containers of it, by their instruction set.
    pub nodes: Vec<(Arch, u64)>,
    /// When one of them last told of it.
    pub last_seen: SystemTime,
}

impl FleetImage {
    /// The findings that it is on the nodes it is on: each once, in the order of the catalogue.
    #[must_use]
    pub fn findings(&self) -> Vec<finding::Id> {
        let image = &self.image;
        let on = |node| match &image.audit {
            Some(audit) => finding::of_image(image.arch, node, audit),
            None => finding::of_claim(image.arch, node),
        };
        let nodes = self.nodes.iter().map(|(arch, _)| Some(*arch));
        let mut ids: Vec<_> = nodes.flat_map(on).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

/// How sure the collector is of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Its agent was heard within three heartbeats.
    Reporting,
    /// It reported once, but not within three heartbeats.
    Stale,
    /// It should report and never did.
    Unknown,
}

impl NodeState {
    /// The word that people see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reporting => "reporting",
            Self::Stale => "stale",
            Self::Unknown => "unknown",
        }
    }
}

/// One node, as the collector knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Cluster of the node; may be empty.
    pub cluster: String,
    /// What its agent said of it.
    pub info: NodeInfo,
    /// How sure the collector is.
    pub state: NodeState,
    /// When its agent was heard last, if ever.
    pub last_heard: Option<SystemTime>,
    /// When the hooks of its current epoch were attached.
    pub attached_at: Option<SystemTime>,
    /// How well its agent can watch.
    pub preflight: Preflight,
    /// Facts known of it, history included.
    pub facts: u64,
    /// Of these, emulated ones.
    pub emulated_facts: u64,
    /// Of these, failed ones.
    pub failed_facts: u64,
    /// Emulated processes alive now.
    pub emulated_processes: u64,
    /// Sums over all time, by stage.
    pub losses: Vec<LossTotal>,
    /// How its agent does, as far as it told.
    pub health: Option<Health>,
}

/// What was lost at one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossTotal {
    /// Where.
    pub stage: String,
    /// How many.
    pub count: u64,
    /// How many losses this sums up.
    pub records: u64,
}

/// The collector itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// Version of the collector.
    pub version: String,
    /// When it started.
    pub started_at: SystemTime,
    /// How often agents report at least.
    pub heartbeat_interval: Duration,
    /// Which store, as the option named it.
    pub store: String,
    /// What the store holds.
    pub totals: Totals,
    /// Whether peers are authenticated; false in development mode (plaintext).
    pub authenticated: bool,
    /// Which nodes answers cannot speak for.
    pub coverage: Coverage,
    /// What was refused since the collector started, by reason.
    pub refusals: Vec<(String, u64)>,
    /// Which agents have to run, if a policy says it.
    pub policy: Option<InForce>,
}

/// Sums over everything that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Size of the store in bytes.
    pub bytes: u64,
    /// Nodes heard within three heartbeats.
    pub nodes_reporting: u64,
    /// Nodes that were not.
    pub nodes_stale: u64,
    /// Facts, history included.
    pub facts: u64,
    /// Of these, emulated ones.
    pub emulated_facts: u64,
    /// Of these, failed ones.
    pub failed_facts: u64,
    /// Events, changes of handlers included, losses not.
    pub events: u64,
    /// Event sequences that are neither stored nor covered by a loss.
    pub unexplained_gap: u64,
    /// By stage.
    pub losses: Vec<LossTotal>,
}
