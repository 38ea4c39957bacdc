//! What somebody who follows is told.

use super::{Coverage, NodeEvent, NodeFact};
use crate::fact::FactId;

/// One message of a watch on facts.
#[derive(Clone, Debug, PartialEq)]
pub enum FactUpdate {
    /// New, or with other numbers.
    Upsert(Box<NodeFact>),
    /// Not kept by its agent any more, or not matching any more.
    Removed(RemovedFact),
    /// All of it was told, so many facts; what follows are changes.
    SnapshotEnd(u64),
    /// What was told before does not hold any more, and why: a new snapshot follows.
    SnapshotBegin(String),
    /// For which nodes this cannot speak.
    Coverage(Coverage),
}

/// The name of a fact that is no more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemovedFact {
    /// Cluster of the node; may be empty.
    pub cluster: String,
    /// Name of the node.
    pub node: String,
    /// The fact's name within its node.
    pub id: FactId,
}

/// One message of a stream of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventUpdate {
    /// Something happened.
    Event(Box<NodeEvent>),
    /// For which nodes this cannot speak.
    Coverage(Coverage),
    /// That many events were not told, because they were not read in time.
    Skipped(u64),
}
