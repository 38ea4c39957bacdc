//! One workload: what it runs, where, and what happened.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Mode;
use archtrace_facts::fleet::{Coverage, NodeEvent, NodeFact, Summary};
use archtrace_facts::human::count;
use askama::Template;

use super::{Cover, EventRow, Frame, Name, When, cpu, event_rows, if_emulated};
use crate::link;

/// Rows of each table.
const ROWS: usize = 100;

/// What was answered; at least one fact or event, which say what its name is.
pub(crate) struct Asked {
    pub(crate) coverage: Coverage,
    /// By architecture and mode.
    pub(crate) kinds: Summary,
    pub(crate) facts: Vec<NodeFact>,
    /// Whether there are more.
    pub(crate) is_cut: bool,
    pub(crate) events: Vec<NodeEvent>,
}

#[derive(Template)]
#[template(path = "workload.html")]
pub(crate) struct WorkloadView {
    frame: Frame,
    cover: Cover,
    cluster: String,
    namespace: String,
    kinds: Vec<Kind>,
    binaries: Vec<Binary>,
    pods: Vec<Pod>,
    events: Vec<EventRow>,
    is_cut: bool,
}

struct Kind {
    arch: String,
    mode: String,
    pods: String,
    nodes: String,
    alive: String,
    execs: String,
    cpu: String,
}

struct Binary {
    container: String,
    binary: String,
    arch: String,
    mode: Mode,
    /// Of an emulated one its emulator, of a failed one why.
    more: String,
    pods: String,
    execs: String,
    alive: String,
    cpu: String,
    last: When,
}

struct Pod {
    name: String,
    node: Name,
    node_arch: String,
    modes: Vec<Mode>,
    cpu: String,
    is_current: bool,
    last: When,
}

impl WorkloadView {
    /// `None` if nothing is known of it.
    pub(crate) fn new(asked: &Asked, now: SystemTime) -> Option<Self> {
        let fact = asked
            .facts
            .first()
            .map(|fact| (&fact.cluster, &fact.identity));
        let event = asked.events.first();
        let event = event.map(|event| (&event.cluster, &event.identity));
        let (cluster, identity) = fact.or(event)?;
        Some(Self {
            frame: Frame::new(identity.workload.clone(), link::WORKLOADS),
            cover: Cover::new(&asked.coverage),
            cluster: cluster.clone(),
            namespace: identity.namespace.clone(),
            kinds: kinds(&asked.kinds),
            binaries: binaries(&asked.facts, now),
            pods: pods(&asked.facts, now),
            events: event_rows(&asked.events, now),
            is_cut: asked.is_cut,
        })
    }
}

fn kinds(summary: &Summary) -> Vec<Kind> {
    let rows = summary.rows.iter().filter(|row| row.facts > 0);
    let kinds = rows.map(|row| {
        let mode = row.values.get(1).cloned().unwrap_or_default();
        Kind {
            arch: row.values.first().cloned().unwrap_or_default(),
            pods: count(row.pods),
            nodes: count(row.nodes),
            alive: if_emulated(&mode, count(row.processes)),
            execs: count(row.count),
            cpu: if_emulated(&mode, cpu(row.cpu_ns)),
            mode,
        }
    });
    kinds.collect()
}

/// What makes binaries of several pods one row: how bad it is first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Which<'a> {
    mode: Reverse<Mode>,
    container: &'a str,
    binary: String,
    arch: Arch,
    more: String,
}

#[derive(Default)]
struct Sum<'a> {
    pods: BTreeSet<(&'a str, &'a str)>,
    execs: u64,
    alive: u64,
    cpu_ns: u64,
    last: Option<SystemTime>,
}

fn binaries(facts: &[NodeFact], now: SystemTime) -> Vec<Binary> {
    let mut sums = BTreeMap::<Which<'_>, Sum<'_>>::new();
    for NodeFact {
        node,
        fact,
        identity,
        ..
    } in facts
    {
        let cause = fact.key.cause.map(|cause| cause.as_str().to_owned());
        let which = Which {
            mode: Reverse(fact.key.mode),
            container: &identity.container,
            binary: fact.key.shown_binary(),
            arch: fact.key.arch,
            more: fact.key.emulator.clone().or(cause).unwrap_or_default(),
        };
        let sum = sums.entry(which).or_default();
        sum.pods.insert((node, &identity.pod));
        sum.execs = sum.execs.saturating_add(fact.count);
        sum.alive = sum.alive.saturating_add(fact.processes);
        sum.cpu_ns = sum.cpu_ns.saturating_add(fact.cpu_ns);
        sum.last = sum.last.max(Some(fact.last_seen));
    }
    let rows = sums.into_iter().take(ROWS).map(|(which, sum)| Binary {
        container: which.container.to_owned(),
        binary: which.binary,
        arch: which.arch.to_string(),
        mode: which.mode.0,
        more: which.more,
        pods: count(u64::try_from(sum.pods.len()).unwrap_or(u64::MAX)),
        execs: count(sum.execs),
        alive: if_emulated(which.mode.0.as_str(), count(sum.alive)),
        cpu: if_emulated(which.mode.0.as_str(), cpu(sum.cpu_ns)),
        last: When::new(sum.last.unwrap_or(now), now),
    });
    rows.collect()
}

/// What is known of a pod.
#[derive(Default)]
struct OfPod {
    modes: BTreeSet<Mode>,
    cpu_ns: u64,
    last: Option<SystemTime>,
}

/// The worst first, and of these the most expensive.
fn pods(facts: &[NodeFact], now: SystemTime) -> Vec<Pod> {
    let mut sums = BTreeMap::<_, (OfPod, &NodeFact)>::new();
    for fact in facts {
        let place = (&fact.node, &fact.identity.pod);
        let (sum, _) = sums.entry(place).or_insert((OfPod::default(), fact));
        sum.modes.insert(fact.fact.key.mode);
        sum.cpu_ns = sum.cpu_ns.saturating_add(fact.fact.cpu_ns);
        sum.last = sum.last.max(Some(fact.fact.last_seen));
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_by_cached_key(|(_, (sum, _))| Reverse((sum.modes.last().copied(), sum.cpu_ns)));
    let rows = rows.into_iter().take(ROWS);
    let rows = rows.map(|((node, pod), (sum, fact))| Pod {
        name: pod.clone(),
        node: Name::node(&fact.cluster, node),
        node_arch: fact.node_arch.to_string(),
        cpu: if sum.modes.contains(&Mode::Emulated) {
            cpu(sum.cpu_ns)
        } else {
            if_emulated("", String::new())
        },
        modes: sum.modes.into_iter().collect(),
        is_current: fact.current,
        last: When::new(sum.last.unwrap_or(now), now),
    });
    rows.collect()
}
