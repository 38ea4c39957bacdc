//! Pods that run emulated, and what that costs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use archtrace_facts::fleet::{Coverage, NodeFact};
use archtrace_facts::human::count;
use askama::Template;

use super::{Bar, Cover, Frame, Name, Pager, When, cpu, cut};
use crate::link;

#[derive(Template)]
#[template(path = "emulated.html")]
pub(crate) struct Emulated {
    frame: Frame,
    cover: Cover,
    rows: Vec<Row>,
    pager: Pager,
    cpu: String,
    alive: String,
    /// Whether there were more facts than were read.
    is_cut: bool,
}

/// A pod, or a unit of a node.
struct Row {
    place: String,
    workload: Name,
    node: Name,
    is_current: bool,
    archs: String,
    emulators: String,
    alive: String,
    execs: String,
    cpu: String,
    share: Bar,
    since: When,
    last: When,
}

#[derive(Default)]
struct Sum<'a> {
    archs: BTreeSet<String>,
    emulators: BTreeSet<&'a str>,
    workload: &'a str,
    alive: u64,
    execs: u64,
    cpu_ns: u64,
    is_current: bool,
    first: Option<SystemTime>,
    last: Option<SystemTime>,
}

/// Cluster, node, namespace and what it is called.
type Place<'a> = (&'a str, &'a str, &'a str, String);

impl Emulated {
    pub(crate) fn new(
        facts: &[NodeFact],
        is_cut: bool,
        coverage: &Coverage,
        page: usize,
        now: SystemTime,
    ) -> Self {
        let mut sums = BTreeMap::<Place<'_>, Sum<'_>>::new();
        for fact in facts {
            sums.entry(place(fact)).or_default().add(fact);
        }
        let burnt = sums.values().map(|sum| sum.cpu_ns);
        let burnt = burnt.fold(0, u64::saturating_add);
        // Agents tell what they like.
        let alive = sums.values().map(|sum| sum.alive);
        let alive = alive.fold(0, u64::saturating_add);
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by_key(|(_, sum)| Reverse(sum.cpu_ns));
        let (sums, pager) = cut(sums, page, link::EMULATED);
        let rows = sums
            .into_iter()
            .map(|(place, sum)| row(place, &sum, burnt, now));
        Self {
            frame: Frame::new("Emulated pods", link::EMULATED),
            cover: Cover::new(coverage),
            rows: rows.collect(),
            pager,
            cpu: cpu(burnt),
            alive: count(alive),
            is_cut,
        }
    }
}

/// Containers of a pod are one row; what belongs to no pod, one each.
fn place(fact: &NodeFact) -> Place<'_> {
    let identity = &fact.identity;
    let name = match (&identity.pod, identity.place()) {
        (pod, _) if !pod.is_empty() => pod.clone(),
        (_, place) if !place.is_empty() => place,
        _ => fact.fact.key.cgroup.clone(),
    };
    (&fact.cluster, &fact.node, &identity.namespace, name)
}

impl<'a> Sum<'a> {
    fn add(&mut self, fact: &'a NodeFact) {
        let NodeFact {
            fact,
            identity,
            current,
            ..
        } = fact;
        self.archs.insert(fact.key.arch.to_string());
        self.emulators.extend(fact.key.emulator.as_deref());
        self.workload = &identity.workload;
        self.alive = self.alive.saturating_add(fact.processes);
        self.execs = self.execs.saturating_add(fact.count);
        self.cpu_ns = self.cpu_ns.saturating_add(fact.cpu_ns);
        self.is_current |= current;
        let first = self.first.unwrap_or(fact.first_seen);
        self.first = Some(first.min(fact.first_seen));
        self.last = self.last.max(Some(fact.last_seen));
    }
}

fn row(place: Place<'_>, sum: &Sum<'_>, burnt: u64, now: SystemTime) -> Row {
    let (cluster, node, namespace, name) = place;
    let emulators: Vec<_> = sum.emulators.iter().copied().collect();
    let archs: Vec<_> = sum.archs.iter().map(String::as_str).collect();
    Row {
        place: if namespace.is_empty() {
            name
        } else {
            format!("{namespace}/{name}")
        },
        workload: Name::workload(cluster, namespace, sum.workload),
        node: Name::node(cluster, node),
        is_current: sum.is_current,
        archs: archs.join(", "),
        emulators: emulators.join(", "),
        alive: count(sum.alive),
        execs: count(sum.execs),
        cpu: cpu(sum.cpu_ns),
        share: Bar::new(sum.cpu_ns, burnt),
        since: When::new(sum.first.unwrap_or(now), now),
        last: When::new(sum.last.unwrap_or(now), now),
    }
}

#[cfg(test)]
mod tests {
    use archtrace_facts::arch::Arch;
    use archtrace_facts::fact::{Fact, FactKey, Mode};
    use archtrace_facts::identity::Identity;

    use super::*;

    #[test]
    fn numbers_that_no_honest_agent_tells_are_summed_up() {
        let of_node = |node: &str| NodeFact {
            cluster: String::new(),
            node: node.to_owned(),
            node_arch: Arch::Arm64,
            identity: Identity::default(),
            fact: Fact {
                key: FactKey {
                    cgroup: "/a".to_owned(),
                    binary: "/app".to_owned(),
                    path_resolved: true,
                    arch: Arch::Amd64,
                    mode: Mode::Emulated,
                    emulator: None,
                    via: None,
                    cause: None,
                },
                count: u64::MAX,
                processes: u64::MAX,
                cpu_ns: u64::MAX,
                first_seen: SystemTime::UNIX_EPOCH,
                last_seen: SystemTime::UNIX_EPOCH,
            },
            current: true,
            ended: false,
        };
        let facts = ["n1", "n2"].map(of_node);
        let coverage = Coverage::default();
        let page = Emulated::new(&facts, false, &coverage, 0, SystemTime::UNIX_EPOCH);
        assert_eq!(page.alive, count(u64::MAX));
    }
}
