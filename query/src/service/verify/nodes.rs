//! The nodes that the pods are on: how well their agents see, and what these lost meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use archtrace_facts::fleet::{NodeFact, NodeStatus};
use archtrace_facts::gate::{Watched, hides};
use archtrace_facts::report::Record;
use archtrace_facts::select::{Filter, Selection};
use tonic::Status;

use super::super::{Inner, ask};
use crate::read::{EventQuery, NodeQuery, Read};

/// Names in one question to the store.
const AT_ONCE: usize = 500;

/// Nodes, or losses, read at once: some hundred kB.
const PAGE: u32 = 500;

/// Which nodes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Those that were not, so far.
    New,
    /// All, because it matters how they are now, and what they lost.
    All,
}

/// Nodes by cluster and name, as last asked for.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    asked: BTreeSet<String>,
    /// By cluster, those that pods that are meant were seen on, gone or not.
    of_pods: BTreeMap<String, BTreeSet<String>>,
    now: BTreeMap<(String, String), NodeStatus>,
    lost: BTreeMap<(String, String), u64>,
}

impl Nodes {
    /// Notes that a pod that is meant is, or was, on the fact's node.
    pub(super) fn note(&mut self, fact: &NodeFact) {
        let known = self.of_pods.get(&fact.cluster);
        if !known.is_some_and(|nodes| nodes.contains(&fact.node)) {
            let nodes = self.of_pods.entry(fact.cluster.clone()).or_default();
            nodes.insert(fact.node.clone());
        }
    }

    /// Asks for those that these facts are of, and those that had pods.
    pub(super) async fn ask<S: Read>(
        &mut self,
        query: &Inner<S>,
        facts: impl Iterator<Item = &NodeFact> + Send,
        since: SystemTime,
        which: Ask,
    ) -> Result<(), Status> {
        let facts = facts.map(|fact| &fact.node);
        let names: BTreeSet<&String> = facts.chain(self.of_pods.values().flatten()).collect();
        let wanted = |name: &&String| which == Ask::All || !self.asked.contains(*name);
        let names: Vec<String> = names.into_iter().filter(wanted).cloned().collect();
        if which == Ask::All {
            self.lost.clear();
        }
        for names in names.chunks(AT_ONCE) {
            self.read(query, names).await?;
            if which == Ask::All {
                self.read_losses(query, names, since).await?;
            }
            self.asked.extend(names.iter().cloned());
        }
        Ok(())
    }

    async fn read<S: Read>(&mut self, query: &Inner<S>, names: &[String]) -> Result<(), Status> {
        let mut after = None;
        loop {
            let page = NodeQuery {
                names: names.to_vec(),
                alive_since: query.alive_since(),
                after,
                limit: PAGE,
            };
            let nodes = query.store.nodes(page).await.map_err(ask::unavailable)?;
            let is_last = u32::try_from(nodes.len()).is_ok_and(|count| count < PAGE);
            for (id, status) in nodes {
                after = Some(id);
                let name = (status.cluster.clone(), status.info.name.clone());
                self.now.insert(name, status);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Of a loss whose size is not known, at least that there was one.
    async fn read_losses<S: Read>(
        &mut self,
        query: &Inner<S>,
        names: &[String],
        since: SystemTime,
    ) -> Result<(), Status> {
        let filter = Filter {
            nodes: names.to_vec(),
            since: Some(since),
            ..Filter::default()
        };
        let mut after = None;
        loop {
            let page = EventQuery {
                selection: Selection {
                    allow: vec![filter.clone()],
                    ..Selection::default()
                },
                kinds: vec!["loss".to_owned()],
                ascending: true,
                after,
                limit: PAGE,
            };
            let losses = query.store.events(page).await.map_err(ask::unavailable)?;
            let is_last = u32::try_from(losses.len()).is_ok_and(|count| count < PAGE);
            for (cursor, event) in losses {
                after = Some(cursor);
                let Record::Loss(loss) = &event.record else {
                    continue;
                };
                if hides(&loss.stage) {
                    let lost = self.lost.entry((event.cluster, event.node)).or_default();
                    *lost = lost.saturating_add(loss.count.max(1));
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// With what they lost since the watch began.
    pub(super) fn watched(&self) -> Vec<Watched<'_>> {
        let watched = self.now.iter().map(|(name, status)| Watched {
            status,
            lost: self.lost.get(name).copied().unwrap_or_default(),
            had_pods: self
                .of_pods
                .get(&name.0)
                .is_some_and(|nodes| nodes.contains(&name.1)),
        });
        watched.collect()
    }
}
