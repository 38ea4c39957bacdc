//! How it is with each agent on each node, as it was judged last: only what may be otherwise is judged again.
//!
//! One result is kept, a byte for each agent and node: 100 agents, which is the most that a policy names, on
//! 10,000 nodes are a megabyte.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::Status;

use super::digests::Digests;
use super::look::{Look, On};
use crate::findings::recent::Unseen;
use crate::read::NodeId;

/// What was judged last.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Of which ledger, by which names of images, and given what of nodes is not seen.
    of: Option<(Arc<()>, Arc<Digests>, Arc<Unseen>)>,
    nodes: HashMap<NodeId, OfNode>,
    /// Of a node that never reported, of which nothing is kept.
    unheard: Vec<Option<Status>>,
}

#[derive(Debug)]
struct OfNode {
    looked_at: (u64, bool, Arch),
    from: SystemTime,
    until: Option<SystemTime>,
    /// By the agent's place in the policy; `None` where it has not to run.
    statuses: Box<[Option<Status>]>,
}

impl Judged {
    /// How it is on the node with each agent, by its place in the policy; `None` where it has not to run.
    pub(crate) fn on<'s>(&'s mut self, look: &Look<'_>, on: On<'_>) -> &'s [Option<Status>] {
        self.begin(look);
        let Some(node) = on.node else {
            self.unheard.clear();
            self.unheard.extend(judge(look, on).0);
            return &self.unheard;
        };
        let looked_at = (look.ledger.stamp(node.id), node.current, node.arch);
        let holds = |known: &OfNode| {
            known.looked_at == looked_at
                && known.from <= look.now
                && known.until.is_none_or(|until| look.now < until)
        };
        if !self.nodes.get(&node.id).is_some_and(holds) {
            let (statuses, until) = judge(look, on);
            let known = OfNode {
                looked_at,
                from: look.now,
                until,
                statuses: statuses.into(),
            };
            self.nodes.insert(node.id, known);
        }
        let known = self.nodes.get(&node.id);
        known.map_or(&[], |known| &known.statuses)
    }

    /// Forgets what was judged of something else.
    fn begin(&mut self, look: &Look<'_>) {
        let (life, digests, unseen) = (look.ledger.life(), look.digests, look.recent.unseen());
        let is_it = self.of.as_ref().is_some_and(|of| {
            Arc::ptr_eq(&of.0, life) && Arc::ptr_eq(&of.1, digests) && Arc::ptr_eq(&of.2, unseen)
        });
        if !is_it {
            *self = Self {
                of: Some((Arc::clone(life), Arc::clone(digests), Arc::clone(unseen))),
                ..Self::default()
            };
        }
        // Nodes that are no more.
        if self.nodes.len() > look.table.nodes.len() {
            self.nodes
                .retain(|node, _| look.table.node(*node).is_some());
        }
    }
}

fn judge(look: &Look<'_>, on: On<'_>) -> (Vec<Option<Status>>, Option<SystemTime>) {
    let mut statuses = vec![None; look.agents().len()];
    let mut until: Option<SystemTime> = None;
    look.judge(
        on,
        |_| true,
        |i, verdict, steady| {
            if let Some(status) = statuses.get_mut(i) {
                *status = Some(verdict.status);
            }
            until = until.into_iter().chain(steady).min();
        },
    );
    (statuses, until)
}
