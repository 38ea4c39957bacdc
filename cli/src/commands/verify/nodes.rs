//! The nodes that the pods are on: how well their agents see, and what these lose meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use archtrace_facts::fleet::{NodeFact, NodeStatus};
use archtrace_facts::gate::{Watched, hides_facts};

use crate::client::Client;
use crate::failure::Failure;

/// Names in one question; a collector takes a thousand.
const AT_ONCE: usize = 500;

/// Which nodes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Those that were not, so far.
    New,
    /// All, because it matters how they are now.
    All,
}

/// Nodes by cluster and name, as last asked for.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    asked: HashSet<String>,
    now: BTreeMap<(String, String), Node>,
}

#[derive(Debug)]
struct Node {
    status: NodeStatus,
    /// What its agent had lost when it was first asked for.
    before: u64,
}

impl Nodes {
    /// Asks for those that these facts are of.
    pub(super) async fn ask(
        &mut self,
        client: &Client,
        facts: impl Iterator<Item = &NodeFact>,
        which: Ask,
    ) -> Result<(), Failure> {
        let names: BTreeSet<&String> = facts.map(|fact| &fact.node).collect();
        let wanted = |name: &&String| which == Ask::All || !self.asked.contains(*name);
        let names: Vec<String> = names.into_iter().filter(wanted).cloned().collect();
        for names in names.chunks(AT_ONCE) {
            for status in client.nodes(names).await?.told {
                let name = (status.cluster.clone(), status.info.name.clone());
                let known = self.now.get(&name).map(|known| known.before);
                let before = known.unwrap_or_else(|| lost(&status));
                self.now.insert(name, Node { status, before });
            }
            self.asked.extend(names.iter().cloned());
        }
        Ok(())
    }

    /// With what they lost since then.
    pub(super) fn watched(&self) -> Vec<Watched<'_>> {
        let nodes = self.now.values();
        let watched = nodes.map(|Node { status, before }| Watched {
            status,
            lost: lost(status).saturating_sub(*before),
        });
        watched.collect()
    }
}

/// Of a loss whose size is not known, at least that there was one.
fn lost(node: &NodeStatus) -> u64 {
    let losses = node.losses.iter().filter(|loss| hides_facts(&loss.stage));
    losses
        .map(|loss| loss.count.max(loss.records))
        .fold(0, u64::saturating_add)
}
