//! The facts that agents keep now, in as little memory as it takes.
//!
//! A fact takes 80 bytes, a cgroup 56 and the digits of its path; all other texts are kept once. What sums need
//! of a node is summed up whenever it changes.

mod cgroup;
mod node;
mod sums;
mod view;

use std::collections::HashMap;
use std::time::SystemTime;

use archtrace_facts::fact::FactId;

use super::texts::{Kind, Kinds, Texts, index};
use super::whole::Whole;
use crate::read::{FactChange, Head, NodeId, Version};
use node::Row;
pub(crate) use node::{Cell, Node};
pub(crate) use sums::{KindSum, KindSums};
pub(crate) use view::View;

/// Facts by node.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) texts: Texts,
    pub(crate) kinds: Kinds,
    pub(crate) nodes: Vec<Node>,
    pub(crate) whole: Whole,
    pub(crate) sums: KindSums,
    by_id: HashMap<NodeId, usize>,
}

/// What is new of nodes.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Nodes that changed, and what is known of each.
    pub(crate) moved: Vec<(NodeId, Version)>,
    /// Nodes that began or ceased to report, or are others than they were, of which facts are known.
    pub(crate) flipped: Vec<NodeId>,
    /// Nodes that are no more.
    pub(crate) gone: Vec<Gone>,
}

/// A node that is no more, or of which nothing holds that was known.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) id: NodeId,
    pub(crate) cluster: String,
    pub(crate) name: String,
    /// Its facts.
    pub(crate) facts: Vec<FactId>,
}

impl Table {
    /// The node.
    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(*self.by_id.get(&id)?)
    }

    /// Takes in which nodes there are.
    pub(crate) fn take_heads(&mut self, heads: &[Head], alive_since: SystemTime) -> News {
        let mut news = News::default();
        let before = self.nodes.len();
        for head in heads {
            let current = head.last_heard >= alive_since;
            let Some(node) = self.by_id.get(&head.node) else {
                self.by_id.insert(head.node, self.nodes.len());
                let cluster = self.texts.number(&head.cluster);
                self.nodes.push(Node::new(head, cluster, current));
                news.moved.push((head.node, Version::default()));
                continue;
            };
            let Some(node) = self.nodes.get_mut(*node) else {
                continue;
            };
            if head.version < node.version {
                // Somebody put an older copy of the store in its place.
                node.version = Version::default();
                self.sums.take(&node.cells, node.current);
                news.gone.push(node.empty(&self.texts));
                self.whole.forget(head.node);
            }
            if head.version != node.version {
                news.moved.push((head.node, node.version));
            }
            let is_other = node.current != current || node.arch != head.arch;
            if is_other && !node.rows.is_empty() {
                news.flipped.push(head.node);
            }
            if node.current != current {
                self.sums.take(&node.cells, node.current);
                self.sums.add(&node.cells, current);
            }
            (node.current, node.arch) = (current, head.arch);
        }
        if self.nodes.len() != heads.len() {
            self.forget_others(heads, &mut news);
        }
        if self.nodes.len() != before {
            self.rank();
        }
        news
    }

    fn forget_others(&mut self, heads: &[Head], news: &mut News) {
        let known: std::collections::HashSet<_> = heads.iter().map(|head| head.node).collect();
        let (texts, whole, sums) = (&self.texts, &mut self.whole, &mut self.sums);
        self.nodes.retain_mut(|node| {
            if known.contains(&node.id) {
                return true;
            }
            sums.take(&node.cells, node.current);
            news.gone.push(node.empty(texts));
            whole.forget(node.id);
            false
        });
        let by_id = self.nodes.iter().enumerate().map(|(i, node)| (node.id, i));
        self.by_id = by_id.collect();
        self.rank();
    }

    fn rank(&mut self) {
        let mut order: Vec<_> = (0..self.nodes.len()).collect();
        let (nodes, texts) = (&self.nodes, &self.texts);
        order.sort_by_key(|i| {
            nodes
                .get(*i)
                .map(|node| (texts.text(node.cluster), &node.name))
        });
        for (rank, i) in order.into_iter().enumerate() {
            if let Some(node) = self.nodes.get_mut(i) {
                node.rank = u32::try_from(rank).unwrap_or(u32::MAX);
            }
        }
    }

    /// Takes in a change of a fact. Whether its node reports now, if the node is known.
    pub(crate) fn apply(&mut self, change: &FactChange) -> Option<bool> {
        let node = self.nodes.get_mut(*self.by_id.get(&change.node)?)?;
        self.whole.apply(change);
        let found = node.rows.binary_search_by_key(&change.id, |row| row.id);
        if change.fact.ended {
            if let Ok(i) = found {
                let row = node.rows.remove(i);
                node.leave(row.place);
            }
            return Some(node.current);
        }
        let (fact, identity) = (&change.fact.fact, &change.fact.identity);
        let kind = Kind {
            namespace: self.texts.number(&identity.namespace),
            workload: self.texts.number(&identity.workload),
            image: self.texts.number(&identity.image),
            arch: fact.key.arch,
            mode: fact.key.mode,
        };
        let (pattern, digits) = cgroup::pack(&fact.key.cgroup);
        let place = node.enter(self.texts.number(&pattern), digits);
        if let Some(place) = node.places.get_mut(index(place)) {
            place.name(&mut self.texts, identity);
        }
        let emulator = fact.key.emulator.as_deref();
        let row = Row {
            id: change.id,
            place,
            kind: self.kinds.number(kind),
            binary: self.texts.number(&fact.key.binary),
            emulator: self.texts.number(emulator.unwrap_or_default()),
            via: fact.key.via,
            cause: fact.key.cause,
            count: fact.count,
            processes: fact.processes,
            cpu_ns: fact.cpu_ns,
            first_seen: nanos(fact.first_seen),
            last_seen: nanos(fact.last_seen),
        };
        match found {
            Ok(i) => {
                if let Some(known) = node.rows.get_mut(i) {
                    let old = std::mem::replace(known, row);
                    node.leave(old.place);
                }
            }
            Err(i) => node.rows.insert(i, row),
        }
        Some(node.current)
    }

    /// Notes that all changes of the node up to this one are in.
    pub(crate) fn reached(&mut self, id: NodeId, version: Version) {
        let node = self.by_id.get(&id).and_then(|i| self.nodes.get_mut(*i));
        if let Some(node) = node {
            node.version = node.version.max(version);
        }
    }

    /// Sums up a node after changes of its facts.
    pub(crate) fn sum_up(&mut self, id: NodeId) {
        let node = self.by_id.get(&id).and_then(|i| self.nodes.get_mut(*i));
        if let Some(node) = node {
            self.sums.take(&node.cells, node.current);
            node.sum_up();
            self.sums.add(&node.cells, node.current);
        }
    }

    /// Drops texts that nothing names any more, if there may be many.
    pub(crate) fn tidy(&mut self) {
        if self.texts.wants_sweep() || self.kinds.wants_sweep() {
            self.sweep();
        }
    }

    /// Drops texts that nothing names any more.
    pub(crate) fn sweep(&mut self) {
        let mut kinds = vec![false; self.kinds.all().len()];
        let mut texts = vec![false; self.texts.all().len()];
        let mark = |marks: &mut Vec<bool>, number: u32| {
            if let Some(mark) = marks.get_mut(index(number)) {
                *mark = true;
            }
        };
        for node in &self.nodes {
            mark(&mut texts, node.cluster);
            for place in &node.places {
                for text in place.texts() {
                    mark(&mut texts, text);
                }
            }
            for row in &node.rows {
                mark(&mut kinds, row.kind);
                mark(&mut texts, row.binary);
                mark(&mut texts, row.emulator);
            }
        }
        self.kinds.sweep(&kinds);
        for kind in self.kinds.all().iter().flatten() {
            for text in [kind.namespace, kind.workload, kind.image] {
                mark(&mut texts, text);
            }
        }
        self.texts.sweep(&texts);
    }

    /// Every fact.
    pub(crate) fn facts(&self) -> impl Iterator<Item = View<'_>> {
        self.nodes.iter().flat_map(|node| self.facts_of(node))
    }

    /// Every fact of a node.
    pub(crate) fn facts_of<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = View<'a>> {
        let rows = node.rows.iter();
        rows.filter_map(|row| Some(View::new(&self.texts, node, row, self.kinds.get(row.kind)?)))
    }
}

fn nanos(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
