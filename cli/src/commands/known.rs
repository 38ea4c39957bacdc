//! What is there, as far as a watch told it, through streams that break and begin anew.

use std::collections::BTreeMap;

use archtrace_facts::fleet::{NodeFact, RemovedFact};

use crate::show::Change;

/// Facts by name: as many as the question has answers.
#[derive(Debug, Default)]
pub(super) struct Known {
    facts: BTreeMap<RemovedFact, (NodeFact, u64)>,
    /// Snapshots so far; what the last one did not name is gone.
    round: u64,
}

impl Known {
    /// A snapshot begins.
    pub(super) fn begin(&mut self) {
        self.round += 1;
    }

    /// Notes a fact; what that means, if it is no repetition.
    pub(super) fn upsert(&mut self, fact: NodeFact) -> Option<(Change, NodeFact)> {
        let name = RemovedFact {
            cluster: fact.cluster.clone(),
            node: fact.node.clone(),
            id: fact.fact.key.id(),
        };
        match self.facts.insert(name, (fact.clone(), self.round)) {
            None => Some((Change::Added, fact)),
            Some((before, _)) if before == fact => None,
            Some(_) => Some((Change::Changed, fact)),
        }
    }

    /// Forgets a fact that is no more.
    pub(super) fn remove(&mut self, name: &RemovedFact) -> Option<(Change, NodeFact)> {
        let (fact, _) = self.facts.remove(name)?;
        Some((Change::Removed, fact))
    }

    /// The snapshot was told: forgets what it did not name.
    pub(super) fn end(&mut self) -> impl Iterator<Item = (Change, NodeFact)> {
        let now = self.round;
        let gone = self
            .facts
            .extract_if(.., move |_, (_, round)| *round != now);
        gone.map(|(_, (fact, _))| (Change::Removed, fact))
    }

    /// Every fact.
    pub(super) fn facts(&self) -> impl Iterator<Item = &NodeFact> {
        self.facts.values().map(|(fact, _)| fact)
    }
}
