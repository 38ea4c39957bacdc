//! Sums over the facts that agents keep now.
//!
//! Nodes are walked one by one. What facts may be summed up by is one number each (its kind), by which
//! the facts of each node are summed up whenever they change: a walk over all nodes adds numbers and
//! compares no texts. Each kind is summed up over all nodes, too. With conditions, each fact is looked at.

mod walk;

use std::collections::HashMap;

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Mode;
use archtrace_facts::fleet::{Dimension, Summary, SummaryRow};
use archtrace_facts::select::Selection;

use super::table::{Cell, KindSum, Node, Table, View};
use super::texts::Kind;

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    facts: u64,
    nodes: u64,
    pods: u64,
    processes: u64,
    count: u64,
    cpu_ns: u64,
}

impl Sums {
    fn of_fact(fact: &View<'_>) -> Self {
        Self {
            facts: 1,
            nodes: 0,
            pods: 0,
            processes: fact.processes(),
            count: fact.row.count,
            cpu_ns: fact.row.cpu_ns,
        }
    }

    fn of_cell(cell: &Cell, current: bool) -> Self {
        Self {
            facts: cell.facts.into(),
            nodes: 0,
            pods: 0,
            processes: if current { cell.processes } else { 0 },
            count: cell.count,
            cpu_ns: cell.cpu_ns,
        }
    }

    fn of_kind(sum: &KindSum) -> Self {
        Self {
            facts: sum.facts,
            nodes: 0,
            pods: 0,
            processes: sum.processes(),
            count: sum.count(),
            cpu_ns: sum.cpu_ns(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.facts += other.facts;
        self.nodes += other.nodes;
        self.pods += other.pods;
        self.processes = self.processes.saturating_add(other.processes);
        self.count = self.count.saturating_add(other.count);
        self.cpu_ns = self.cpu_ns.saturating_add(other.cpu_ns);
    }
}

/// The part of a group that does not depend on the node. `None` where sums are not taken by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Part {
    namespace: Option<u32>,
    workload: Option<u32>,
    image: Option<u32>,
    arch: Option<Arch>,
    mode: Option<Mode>,
}

impl Part {
    fn of(kind: &Kind, by: &[Dimension]) -> Self {
        let asked = |dimension| by.contains(&dimension);
        Self {
            namespace: asked(Dimension::Namespace).then_some(kind.namespace),
            workload: asked(Dimension::Workload).then_some(kind.workload),
            image: asked(Dimension::Image).then_some(kind.image),
            arch: asked(Dimension::Arch).then_some(kind.arch),
            mode: asked(Dimension::Mode).then_some(kind.mode),
        }
    }
}

/// A row that is not written out yet.
struct Group {
    /// Which node or cluster, in the order of their names; 0 where sums are taken by neither.
    prefix: u32,
    /// An example of its nodes.
    node: usize,
    part: usize,
    sums: Sums,
}

/// Sums over the facts that the selection means, by what is asked for; those with most facts first,
/// then by name. A pod is counted on each node that has facts of it.
pub(crate) fn summarize(
    table: &Table,
    selection: &Selection,
    by: &[Dimension],
    max_rows: usize,
) -> Summary {
    let (part_of_kind, parts) = parts(table, by);
    let by_place = by.contains(&Dimension::Node) || by.contains(&Dimension::Cluster);
    let only_by_place = by_place && by.iter().all(|by| is_place(*by));
    let mut groups = Groups::new(by, parts.len());
    if !selection.is_everything() {
        walk::of_facts(table, selection, &part_of_kind, &mut groups);
    } else if only_by_place {
        walk::of_whole_nodes(table, &mut groups);
    } else if by_place {
        walk::of_cells(table, &part_of_kind, &mut groups);
    } else {
        walk::of_kinds(table, &part_of_kind, &mut groups);
    }
    let mut groups = groups.into_vec(&table.nodes);
    if by.is_empty() && groups.is_empty() {
        let row = SummaryRow::default();
        return Summary {
            rows: vec![row],
            more_rows: 0,
        };
    }
    let ranks = ranks(table, &parts);
    let order = |group: &Group| {
        let part = ranks.get(group.part).copied().unwrap_or_default();
        (std::cmp::Reverse(group.sums.facts), group.prefix, part)
    };
    let more = groups.len().saturating_sub(max_rows);
    if more > 0 {
        groups.select_nth_unstable_by_key(max_rows, order);
        groups.truncate(max_rows);
    }
    groups.sort_unstable_by_key(order);
    let rows = groups.iter().map(|group| {
        let values = by
            .iter()
            .map(|dimension| value(table, &parts, group, *dimension));
        let Sums {
            facts,
            nodes,
            pods,
            processes,
            count,
            cpu_ns,
        } = group.sums;
        SummaryRow {
            values: values.collect(),
            facts,
            nodes,
            pods,
            processes,
            count,
            cpu_ns,
        }
    });
    Summary {
        rows: rows.collect(),
        more_rows: u64::try_from(more).unwrap_or(u64::MAX),
    }
}

fn is_place(dimension: Dimension) -> bool {
    match dimension {
        Dimension::Cluster | Dimension::Node => true,
        Dimension::Namespace
        | Dimension::Workload
        | Dimension::Image
        | Dimension::Arch
        | Dimension::Mode => false,
    }
}

/// Which part each kind belongs to, and the parts.
fn parts(table: &Table, by: &[Dimension]) -> (Vec<usize>, Vec<Part>) {
    let (mut numbers, mut parts) = (HashMap::new(), Vec::new());
    let of_kind = table.kinds.all().iter().map(|kind| {
        let Some(kind) = kind else { return 0 };
        let part = Part::of(kind, by);
        *numbers.entry(part).or_insert_with(|| {
            parts.push(part);
            parts.len() - 1
        })
    });
    let of_kind = of_kind.collect();
    (of_kind, parts)
}

/// Place of each part in the order of names.
fn ranks(table: &Table, parts: &[Part]) -> Vec<usize> {
    let text = |number: Option<u32>| table.texts.text(number.unwrap_or(u32::MAX));
    let names = |i: &usize| {
        parts.get(*i).map(|part| {
            let arch = part.arch.map(|arch| arch.to_string());
            let texts = [part.namespace, part.workload, part.image].map(text);
            (texts, arch, part.mode)
        })
    };
    let mut order: Vec<_> = (0..parts.len()).collect();
    order.sort_by_cached_key(names);
    let mut ranks = vec![0; parts.len()];
    for (rank, i) in order.into_iter().enumerate() {
        if let Some(place) = ranks.get_mut(i) {
            *place = rank;
        }
    }
    ranks
}

fn value(table: &Table, parts: &[Part], group: &Group, dimension: Dimension) -> String {
    let node = table.nodes.get(group.node);
    let part = parts.get(group.part);
    let text = |number: Option<u32>| table.texts.text(number.unwrap_or(u32::MAX)).to_owned();
    match dimension {
        Dimension::Cluster => text(node.map(|node| node.cluster)),
        Dimension::Node => node.map(|node| node.name.to_string()).unwrap_or_default(),
        Dimension::Namespace => text(part.and_then(|part| part.namespace)),
        Dimension::Workload => text(part.and_then(|part| part.workload)),
        Dimension::Image => text(part.and_then(|part| part.image)),
        Dimension::Arch => {
            let arch = part.and_then(|part| part.arch);
            arch.map(|arch| arch.to_string()).unwrap_or_default()
        }
        Dimension::Mode => {
            let mode = part.and_then(|part| part.mode);
            mode.map_or("", Mode::as_str).to_owned()
        }
    }
}

/// Groups by node are complete after their node; others by cluster and part.
struct Groups {
    by_node: bool,
    by_cluster: bool,
    parts: usize,
    done: Vec<Group>,
    /// Where the groups of each cluster start, and its first node in the order of names.
    clusters: HashMap<u32, (usize, u32)>,
}

impl Groups {
    fn new(by: &[Dimension], parts: usize) -> Self {
        Self {
            by_node: by.contains(&Dimension::Node),
            by_cluster: by.contains(&Dimension::Cluster),
            parts,
            done: Vec::new(),
            clusters: HashMap::new(),
        }
    }

    fn add(&mut self, i: usize, node: &Node, part: usize, sums: &Sums) {
        if self.by_node {
            self.done.push(Group {
                prefix: node.rank,
                node: i,
                part,
                sums: *sums,
            });
            return;
        }
        let cluster = if self.by_cluster { node.cluster } else { 0 };
        let (done, parts) = (&mut self.done, self.parts);
        let (start, first) = self.clusters.entry(cluster).or_insert_with(|| {
            let start = done.len();
            done.extend((0..parts).map(|part| Group {
                prefix: 0,
                node: i,
                part,
                sums: Sums::default(),
            }));
            (start, u32::MAX)
        });
        *first = node.rank.min(*first);
        if let Some(group) = done.get_mut(*start + part) {
            group.sums.add(sums);
        }
    }

    fn into_vec(mut self, nodes: &[Node]) -> Vec<Group> {
        if self.by_node && !self.by_cluster {
            self.join_names(nodes);
        }
        for (start, first) in self.clusters.values() {
            for group in self.done.iter_mut().skip(*start).take(self.parts) {
                group.prefix = *first;
            }
        }
        self.done.retain(|group| group.sums.facts > 0);
        self.done
    }

    /// Nodes of different clusters that have the same name are one row, if nobody asked for clusters.
    fn join_names(&mut self, nodes: &[Node]) {
        let mut clusters = nodes.iter().map(|node| node.cluster);
        let first = clusters.next();
        if clusters.all(|cluster| Some(cluster) == first) {
            return;
        }
        let mut joined: Vec<Group> = Vec::new();
        let mut places = HashMap::new();
        for group in self.done.drain(..) {
            let name = nodes.get(group.node).map(|node| &node.name);
            let place = *places.entry((name, group.part)).or_insert(joined.len());
            match joined.get_mut(place) {
                Some(known) => {
                    known.sums.add(&group.sums);
                    known.prefix = known.prefix.min(group.prefix);
                }
                None => joined.push(group),
            }
        }
        self.done = joined;
    }
}

#[cfg(test)]
mod tests;
