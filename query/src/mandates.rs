//! Which agents have to run.

use std::fmt;
use std::sync::Arc;

use archtrace_facts::coverage::InForce;
use archtrace_facts::policy::Policy;

/// A policy, and what people are told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mandated {
    /// What it says.
    pub policy: Policy,
    /// Where it is from, and since when it holds.
    pub in_force: InForce,
}

/// Knows the policy.
pub trait Policies: Send + Sync + 'static {
    /// The one that holds now: another `Arc` only if it is another one. Asked several times a second, so
    /// that it has to be at hand.
    fn policy(&self) -> Arc<Mandated>;

    /// Why the newest version of it is not the one that holds; empty if it is.
    fn problem(&self) -> String;
}

/// Who says which agents have to run.
#[derive(Clone)]
pub enum Mandates {
    /// Nobody, and what to do about it.
    Nobody(&'static str),
    /// A policy.
    Of(Arc<dyn Policies>),
}

impl Mandates {
    /// The policy that holds, and why its newest version does not, as people are told of it.
    pub(crate) fn in_force(&self) -> Option<InForce> {
        match self {
            Self::Nobody(_) => None,
            Self::Of(policies) => Some(InForce {
                problem: policies.problem(),
                ..policies.policy().in_force.clone()
            }),
        }
    }
}

impl fmt::Debug for Mandates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody(_) => f.write_str("Nobody"),
            Self::Of(_) => f.write_str("Of(..)"),
        }
    }
}
