//! What machines nodes are.

/// A node's machine, as the list of nodes says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Machine {
    /// What kind it is, such as `m7g.large`; empty if that is not known.
    pub instance_type: String,
    /// The part of a region that it is in, such as `eu-central-1a`; empty if that is not known.
    pub zone: String,
}
