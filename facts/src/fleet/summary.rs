//! Sums over the facts that agents keep now.

use crate::fact::words;

words! {
    /// What sums are taken by.
    Dimension, "dimension" {
        /// The cluster's name.
        Cluster = "cluster",
        /// The node's name.
        Node = "node",
        /// The pod's namespace.
        Namespace = "namespace",
        /// The workload as kind and name.
        Workload = "workload",
        /// The image, as the pod asks for it.
        Image = "image",
        /// The binary's instruction set.
        Arch = "arch",
        /// How it ran.
        Mode = "mode",
    }
}

/// Sums, those with most facts first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// One for each combination of values; one in all if sums are taken by nothing.
    pub rows: Vec<SummaryRow>,
    /// How many rows were left out.
    pub more_rows: u64,
}

/// The sums of one combination of values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SummaryRow {
    /// One for each dimension asked for, in the order of asking; empty where nothing is known.
    pub values: Vec<String>,
    /// Facts.
    pub facts: u64,
    /// Nodes that have one of these.
    pub nodes: u64,
    /// Pods that have one of these.
    pub pods: u64,
    /// Processes alive, of emulated facts.
    pub processes: u64,
    /// Execs.
    pub count: u64,
    /// CPU time of emulated tasks, in nanoseconds.
    pub cpu_ns: u64,
}
