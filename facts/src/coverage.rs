//! Whether agents that have to run do, natively and in a certified version: one answer for each of them
//! and each node.
//!
//! | module | what |
//! |---|---|
//! | [`judge`] | what was seen on a node, and what follows from it |
//! | `reason` | why, in a sentence |

mod judge;
mod reason;

pub use judge::{Asked, Reports, Seen, Trouble, Verdict, judge};
pub use reason::Reason;

use std::time::SystemTime;

use crate::arch::Arch;
use crate::fact::words;

words! {
    /// How it is with an agent on a node.
    Status, "status" {
        /// It runs natively, in a certified version.
        Native = "NATIVE",
        /// It is not as it should be, and a waiver lets that pass.
        Waived = "WAIVED",
        /// It runs natively, in a version that is not certified for the node's instruction set.
        Uncertified = "UNCERTIFIED",
        /// Nothing of it is on the node.
        Missing = "MISSING",
        /// An emulator runs it.
        Emulated = "EMULATED",
        /// It cannot be executed, dies of SIGILL, or restarts again and again.
        Failing = "FAILING",
        /// The node reported once, but not of late.
        Stale = "STALE",
        /// The node should report and never did, or the agent may be in a sandbox of which nothing is seen.
        Unknown = "UNKNOWN",
    }
}

impl Status {
    /// What that means for whoever has to decide.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Native | Self::Waived => Outcome::Fine,
            Self::Uncertified | Self::Missing | Self::Emulated | Self::Failing => Outcome::Violated,
            Self::Stale | Self::Unknown => Outcome::NotKnown,
        }
    }
}

/// What an answer comes to. The worst of several counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// As it should be.
    Fine,
    /// Nobody can tell.
    NotKnown,
    /// Not as it should be.
    Violated,
}

impl Outcome {
    /// Of all agents and nodes that were asked for. Of none, nobody can tell: where nothing has to run,
    /// the question was wrong.
    #[must_use]
    pub fn of(totals: &[Total]) -> Self {
        let some = totals.iter().filter(|total| total.nodes > 0);
        some.map(|total| total.status.outcome())
            .max()
            .unwrap_or(Self::NotKnown)
    }
}

/// An agent on a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The agent's name in the policy.
    pub agent: String,
    /// Cluster of the node; may be empty.
    pub cluster: String,
    /// Name of the node.
    pub node: String,
}

/// How it is with an agent on a node, and what shows it. Texts are empty where nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which agent, and which node.
    pub place: Place,
    /// Instruction set of the node; [`Arch::Unknown`] where it never reported.
    pub node_arch: Arch,
    /// How it is.
    pub status: Status,
    /// Since when; `None` if that is so new that nobody noted it yet.
    pub since: Option<SystemTime>,
    /// How it would be without the waiver.
    pub waived: Option<Status>,
    /// Who lets it pass; or did, if the waiver has expired.
    pub waiver: Option<WaiverNote>,
    /// Why, in a sentence.
    pub reason: String,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// What the pod belongs to.
    pub workload: String,
    /// The systemd unit.
    pub unit: String,
    /// The binary.
    pub binary: String,
    /// The image.
    pub image: String,
    /// When what shows it was seen last, or happened.
    pub seen: Option<SystemTime>,
    /// What it was before, the newest first; only if that was asked for.
    pub past: Vec<Past>,
}

/// A waiver, as far as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiverNote {
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// From when on it is none.
    pub expires: SystemTime,
    /// Whether that is over.
    pub expired: bool,
}

/// How it is with an agent on a node, as it was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How.
    pub status: Status,
    /// Since when.
    pub since: SystemTime,
}

/// How it was with an agent on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// How.
    pub status: Status,
    /// Since when.
    pub since: SystemTime,
    /// Until when.
    pub until: SystemTime,
}

impl Past {
    /// How many are told of one agent on one node.
    pub const MOST: usize = 20;
}

/// A change of how it is with an agent on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which agent, and which node.
    pub place: Place,
    /// What it was, as far as whoever tells knows; `None` if it was nothing.
    pub was: Option<Status>,
    /// What it is; `None` if the agent has not to run there any more.
    pub is: Option<Status>,
    /// When that was found.
    pub at: SystemTime,
}

/// On how many nodes an agent is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The agent.
    pub agent: String,
    /// How.
    pub status: Status,
    /// On how many nodes.
    pub nodes: u64,
}

/// The policy that an answer stands on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// Where it is from.
    pub source: String,
    /// How many agents it names.
    pub agents: u64,
    /// When it was read.
    pub loaded_at: Option<SystemTime>,
    /// Why the newest version of it is not the one in force; empty if it is.
    pub problem: String,
}

#[cfg(test)]
mod tests;
