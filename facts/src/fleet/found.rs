//! What somebody should act on, over all nodes.

use std::time::SystemTime;

use crate::fact::words;
use crate::finding::Severity;

words! {
    /// What a finding is about.
    SubjectKind, "kind of subject" {
        /// A workload, as kind and name.
        Workload = "workload",
        /// A pod that belongs to no workload.
        Pod = "pod",
        /// A systemd unit of the host.
        Unit = "unit",
        /// An image.
        Image = "image",
        /// A node.
        Node = "node",
    }
}

/// One thing to act on: a finding, and what it is about. Its id and title are texts, so that findings of
/// a newer collector can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetFinding {
    /// Its name in the catalogue ([`crate::finding::Id`]).
    pub id: String,
    /// How much it matters.
    pub severity: Severity,
    /// A line for lists.
    pub title: String,
    /// Cluster of its nodes; may be empty.
    pub cluster: String,
    /// Namespace of the workload or pod; empty for others.
    pub namespace: String,
    /// The name of what it is about.
    pub subject: String,
    /// What that is.
    pub subject_kind: SubjectKind,
    /// The binary or file; empty where there is none.
    pub binary: String,
    /// Its instruction set, as a word; empty where there is none.
    pub arch: String,
    /// Which emulator runs it; empty where none does.
    pub emulator: String,
    /// On how many nodes.
    pub nodes: u64,
    /// Names of some of them; [`FleetFinding::NAMES`] at most.
    pub node_names: Vec<String>,
    /// How many facts, events, images or nodes show it.
    pub evidence: u64,
    /// Processes alive that show it.
    pub processes: u64,
    /// When it was seen first; `None` of what has no time, such as a node's handlers.
    pub first_seen: Option<SystemTime>,
    /// When it was seen last.
    pub last_seen: Option<SystemTime>,
}

impl FleetFinding {
    /// How many nodes are named.
    pub const NAMES: usize = 10;
}
