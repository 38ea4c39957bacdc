//! The walk over all nodes, each way as short as what is asked for allows.

use archtrace_facts::select::Selection;

use super::super::table::{Node, Table};
use super::super::texts::index;
use super::{Groups, Sums};

/// By anything, of some facts: each is looked at.
pub(super) fn of_facts(table: &Table, selection: &Selection, parts: &[usize], groups: &mut Groups) {
    let (mut sums, mut pods) = (NodeSums::new(groups.parts), Vec::new());
    for (i, node) in table.nodes.iter().enumerate() {
        for fact in table.facts_of(node).filter(|fact| selection.matches(fact)) {
            let part = part(parts, fact.row.kind);
            sums.add(part, &Sums::of_fact(&fact));
            pods.extend(node.pod(fact.row).map(|pod| (part, pod)));
        }
        pods.sort_unstable();
        pods.dedup();
        pods.drain(..).for_each(|(part, _)| sums.add_pod(part));
        sums.finish(i, node, groups);
    }
}

/// By nodes or clusters and other things, of all facts.
pub(super) fn of_cells(table: &Table, parts: &[usize], groups: &mut Groups) {
    let mut sums = NodeSums::new(groups.parts);
    let mut seen = Seen::new(groups.parts);
    for (i, node) in table.nodes.iter().enumerate() {
        for cell in &node.cells {
            let part = part(parts, cell.kind);
            sums.add(part, &Sums::of_cell(cell, node.current));
        }
        for (kind, is_first) in node.shape.of_pods() {
            let part = part(parts, kind);
            if seen.is_new(part, is_first) {
                sums.add_pod(part);
            }
        }
        sums.finish(i, node, groups);
    }
}

/// By nodes or clusters only, of all facts: each node has its own sum.
pub(super) fn of_whole_nodes(table: &Table, groups: &mut Groups) {
    for (i, node) in table.nodes.iter().enumerate() {
        if node.total.facts > 0 {
            let mut sums = Sums::of_cell(&node.total, node.current);
            (sums.nodes, sums.pods) = (1, node.shape.pods.into());
            groups.add(i, node, 0, &sums);
        }
    }
}

/// By other things than nodes and clusters, of all facts: each kind has its own sum, and what is left is to
/// count nodes and pods.
pub(super) fn of_kinds(table: &Table, parts: &[usize], groups: &mut Groups) {
    let mut sums = vec![Sums::default(); groups.parts];
    let (mut seen_pods, mut seen_nodes) = (Seen::new(groups.parts), Seen::new(groups.parts));
    for node in &table.nodes {
        let mut is_first_kind = true;
        let mut count_node = |part, sums: &mut [Sums]| {
            if seen_nodes.is_new(part, std::mem::take(&mut is_first_kind))
                && let Some(sums) = sums.get_mut(part)
            {
                sums.nodes += 1;
            }
        };
        for kind in node.shape.outside() {
            count_node(part(parts, *kind), &mut sums);
        }
        for (kind, is_first) in node.shape.of_pods() {
            let part = part(parts, kind);
            count_node(part, &mut sums);
            if seen_pods.is_new(part, is_first)
                && let Some(sums) = sums.get_mut(part)
            {
                sums.pods += 1;
            }
        }
    }
    for (part, sum) in parts.iter().zip(table.sums.all()) {
        if let Some(sums) = sums.get_mut(*part) {
            sums.add(&Sums::of_kind(sum));
        }
    }
    if let Some(node) = table.nodes.first() {
        for (part, sums) in sums.iter().enumerate() {
            groups.add(0, node, part, sums);
        }
    }
}

fn part(parts: &[usize], kind: u32) -> usize {
    parts.get(index(kind)).copied().unwrap_or(0)
}

/// Which parts were seen since something began: a pod or a node.
struct Seen {
    /// Of each part, in which of them it was seen last; they are counted from 1.
    last: Vec<u32>,
    now: u32,
}

impl Seen {
    fn new(parts: usize) -> Self {
        Self {
            last: vec![0; parts],
            now: 0,
        }
    }

    /// Whether the part was not seen yet in this one, or in another one that begins.
    fn is_new(&mut self, part: usize, begins: bool) -> bool {
        self.now += u32::from(begins);
        let now = self.now;
        let last = self.last.get_mut(part);
        last.is_some_and(|last| std::mem::replace(last, now) != now)
    }
}

/// Sums over the facts of one node, by part.
struct NodeSums {
    sums: Vec<Sums>,
    touched: Vec<usize>,
}

impl NodeSums {
    fn new(parts: usize) -> Self {
        Self {
            sums: vec![Sums::default(); parts],
            touched: Vec::new(),
        }
    }

    fn add(&mut self, part: usize, sums: &Sums) {
        let Some(known) = self.sums.get_mut(part) else {
            return;
        };
        if known.facts == 0 {
            self.touched.push(part);
        }
        known.add(sums);
    }

    fn add_pod(&mut self, part: usize) {
        if let Some(sums) = self.sums.get_mut(part) {
            sums.pods += 1;
        }
    }

    /// Hands them over, and begins with the next node.
    fn finish(&mut self, i: usize, node: &Node, groups: &mut Groups) {
        for part in self.touched.drain(..) {
            if let Some(sums) = self.sums.get_mut(part) {
                sums.nodes = 1;
                groups.add(i, node, part, sums);
                *sums = Sums::default();
            }
        }
    }
}
