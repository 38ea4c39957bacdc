//! Facts that are not native, as they are told to people: nearly all questions are about them.
//!
//! A store finds them quickly and then reads each from another place of its file, with its node and its
//! container. The newest are kept here instead, so that a page of them costs what it takes to send it.

use std::collections::BTreeMap;
use std::sync::Arc;

use archtrace_facts::fact::Mode;
use archtrace_facts::fleet::NodeFact;

use super::settle;
use super::table::Table;
use crate::read::{FactChange, FactCursor, FactQuery, NodeId};

/// Facts that are kept whole, at some 1.2 kB: 24 MB where a fleet is emulated as a whole.
const MOST: usize = 20_000;

/// The newest facts that are not native, and are kept by their agents.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    facts: BTreeMap<FactCursor, Kept>,
    /// Facts up to here may be missing: there were too many.
    missing: Option<FactCursor>,
}

#[derive(Debug)]
struct Kept {
    node: NodeId,
    fact: Arc<NodeFact>,
}

impl Whole {
    /// Takes in a change.
    pub(crate) fn apply(&mut self, change: &FactChange) {
        if change.fact.fact.key.mode == Mode::Native {
            return;
        }
        if change.fact.ended {
            self.facts.remove(&change.cursor);
            return;
        }
        if self.missing.is_some_and(|missing| change.cursor <= missing) {
            return;
        }
        let kept = Kept {
            node: change.node,
            fact: Arc::new(change.fact.clone()),
        };
        self.facts.insert(change.cursor, kept);
        if self.facts.len() > MOST
            && let Some((oldest, _)) = self.facts.pop_first()
        {
            self.missing = Some(oldest);
        }
    }

    /// Drops the facts of a node that is no more.
    pub(crate) fn forget(&mut self, node: NodeId) {
        self.facts.retain(|_, kept| kept.node != node);
    }

    /// What the question asks for, newest first, if it is all here: it has to be about facts that agents
    /// keep, and not about native ones.
    pub(crate) fn list(
        &self,
        table: &Table,
        query: &FactQuery,
    ) -> Option<Vec<(FactCursor, Arc<NodeFact>)>> {
        if query.history || !query.selection.leaves_out(Mode::Native) {
            return None;
        }
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let older = match query.after {
            Some(after) => self.facts.range(..after),
            None => self.facts.range(..),
        };
        let mut found = Vec::new();
        for (cursor, kept) in older.rev() {
            let fact = as_told(table, kept);
            let is_meant =
                query.selection.matches_fact(&fact) && (!query.running || fact.fact.processes > 0);
            if is_meant {
                found.push((*cursor, fact));
            }
            if found.len() >= limit {
                return Some(found);
            }
        }
        // The rest is known to the store only.
        self.missing.is_none().then_some(found)
    }
}

/// The fact, given what is known of its node now.
fn as_told(table: &Table, kept: &Kept) -> Arc<NodeFact> {
    let node = table.node(kept.node);
    let current = node.is_some_and(|node| node.current);
    let arch = node.map_or(kept.fact.node_arch, |node| node.arch);
    if (kept.fact.current, kept.fact.node_arch) == (current, arch) {
        return Arc::clone(&kept.fact);
    }
    let mut fact = NodeFact::clone(&kept.fact);
    fact.node_arch = arch;
    settle(&mut fact, current);
    Arc::new(fact)
}

#[cfg(test)]
mod tests;
