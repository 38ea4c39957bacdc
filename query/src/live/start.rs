//! Where those who follow begin, and what else is asked of what is shared.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use archtrace_facts::fleet::{NodeEvent, NodeFact};
use archtrace_facts::select::Selection;

use super::log::Reader;
use super::{Shared, Told, table};
use crate::coverage::digests::Digests;
use crate::coverage::ledger::Ledger;
use crate::findings::recent::Recent;
use crate::read::{FactChange, NodeId, Read, StoreError, Version};

/// Where somebody who follows facts begins.
pub(crate) struct Start {
    /// All that changes from now on.
    pub(crate) reader: Reader<Told>,
    /// Of each node, the version up to which its facts are those that are there now.
    pub(crate) versions: HashMap<NodeId, Version>,
    /// Nodes with facts that the selection means.
    pub(crate) nodes: Vec<NodeId>,
}

impl<S: Read> Shared<S> {
    /// Begins to follow facts.
    pub(crate) fn follow_facts(&self, selection: &Selection) -> Start {
        // Changes get into the log while the table is locked, so that none is left out or told twice.
        let table = self.table();
        let reader = self.changes.follow();
        let everything = selection.is_everything();
        let is_meant = |node: &&table::Node| {
            let mut facts = table.facts_of(node);
            facts.any(|fact| everything || selection.matches(&fact))
        };
        let nodes = table.nodes.iter();
        Start {
            reader,
            versions: nodes.clone().map(|node| (node.id, node.version)).collect(),
            nodes: nodes.filter(is_meant).map(|node| node.id).collect(),
        }
    }

    /// Begins to follow events: a reader, and of each node the version after which they are in there.
    pub(crate) fn follow_events(&self) -> (Reader<NodeEvent>, HashMap<NodeId, Version>) {
        let known = self.events_known();
        (self.events.follow(), known.clone())
    }

    /// What shows findings besides facts.
    pub(crate) async fn recent(&self, alive_since: SystemTime) -> Result<Arc<Recent>, StoreError> {
        self.recent.get(self.store.as_ref(), alive_since).await
    }

    /// What else images go by, if the policy asks for it.
    pub(crate) async fn digests(&self) -> Result<Arc<Digests>, StoreError> {
        let ledger = |ledger: &Option<Ledger>| {
            let ledger = ledger.as_ref();
            ledger.is_some_and(|ledger| ledger.mandated.policy.has_digests())
        };
        let is_wanted = ledger(&self.ledger());
        if !is_wanted {
            return Ok(Arc::default());
        }
        self.digests.get(self.store.as_ref()).await
    }

    /// Facts of these nodes as they are in the store now.
    pub(crate) async fn facts_of(&self, nodes: &[NodeId]) -> Result<Vec<FactChange>, StoreError> {
        let nodes = nodes.iter().map(|node| (*node, Version::default()));
        let mut changes = self.store.facts_since(nodes.collect()).await?;
        let table = self.table();
        for change in &mut changes {
            let current = table.node(change.node).is_some_and(|node| node.current);
            settle(&mut change.fact, current);
        }
        Ok(changes)
    }
}

/// Decides whether the fact is one of a node that reports now.
pub(super) fn settle(fact: &mut NodeFact, current: bool) {
    fact.current = current;
    if !current {
        fact.fact.processes = 0;
    }
}
