//! The fleet at a glance.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use archtrace_facts::arch::Arch;
use archtrace_facts::coverage::{Counts, Outcome};
use archtrace_facts::fact::Mode;
use archtrace_facts::fleet::{Coverage, Summary, SummaryRow};
use archtrace_facts::human::count;
use askama::Template;

use super::{Bar, Cover, Frame, Name, cpu, if_emulated};
use crate::link;

/// Workloads that are shown here; the page of what is emulated has all.
const WORST: usize = 10;

/// What was answered.
pub(crate) struct Arrived {
    pub(crate) coverage: Coverage,
    /// By nothing: one row.
    pub(crate) all: Summary,
    /// By mode.
    pub(crate) modes: Summary,
    /// By architecture and mode.
    pub(crate) kinds: Summary,
    /// What is emulated, by cluster, namespace and workload.
    pub(crate) emulated: Summary,
    /// Of each architecture, nodes that report and nodes that are silent.
    pub(crate) nodes: BTreeMap<Arch, (u64, u64)>,
    /// How it is with agents that have to run, if there is a policy.
    pub(crate) agents: Option<Counts>,
}

#[derive(Template)]
#[template(path = "fleet.html")]
pub(crate) struct Fleet {
    frame: Frame,
    cover: Cover,
    tiles: Vec<Tile>,
    nodes: Vec<NodesOfArch>,
    kinds: Vec<Kind>,
    worst: Vec<Worst>,
    more_worst: String,
}

/// One number that matters.
struct Tile {
    name: &'static str,
    value: String,
    /// Whether somebody should look.
    is_bad: bool,
    link: &'static str,
}

struct NodesOfArch {
    arch: String,
    reporting: String,
    silent: String,
    share: Bar,
}

struct Kind {
    arch: String,
    mode: String,
    nodes: String,
    pods: String,
    binaries: String,
    execs: String,
    alive: String,
    cpu: String,
    share: Bar,
}

struct Worst {
    namespace: String,
    workload: Name,
    pods: String,
    nodes: String,
    alive: String,
    cpu: String,
    share: Bar,
}

impl Fleet {
    pub(crate) fn new(arrived: &Arrived) -> Self {
        let Arrived {
            coverage,
            all,
            modes,
            kinds,
            emulated,
            nodes,
            agents,
        } = arrived;
        let pods = all.rows.first().map_or(0, |row| row.pods);
        let known = nodes.values().map(|(reporting, silent)| reporting + silent);
        let known = known.sum();
        let of_arch = |(arch, (reporting, silent)): (&Arch, &(u64, u64))| NodesOfArch {
            arch: arch.to_string(),
            reporting: count(*reporting),
            silent: count(*silent),
            share: Bar::new(reporting + silent, known),
        };
        let mut worst: Vec<_> = emulated.rows.iter().collect();
        worst.sort_by_key(|row| (Reverse(row.cpu_ns), &row.values));
        let burnt = total(emulated, |row| row.cpu_ns);
        let more = worst.len().saturating_sub(WORST);
        let more = u64::try_from(more).unwrap_or(u64::MAX) + emulated.more_rows;
        worst.truncate(WORST);
        Self {
            frame: Frame::new("Fleet", link::FLEET),
            cover: Cover::new(coverage),
            tiles: tiles(coverage, pods, modes, agents.as_ref()),
            nodes: nodes.iter().map(of_arch).collect(),
            kinds: kinds.rows.iter().map(|row| kind(row, pods)).collect(),
            worst: worst.into_iter().map(|row| worst_of(row, burnt)).collect(),
            more_worst: if more == 0 {
                String::new()
            } else {
                count(more)
            },
        }
    }
}

fn total(summary: &Summary, number: fn(&SummaryRow) -> u64) -> u64 {
    let numbers = summary.rows.iter().map(number);
    numbers.fold(0, u64::saturating_add)
}

fn tiles(coverage: &Coverage, pods: u64, modes: &Summary, agents: Option<&Counts>) -> Vec<Tile> {
    let of_mode = |mode: Mode, number: fn(&SummaryRow) -> u64| {
        let mut rows = modes.rows.iter();
        let row = rows.find(|row| row.values.iter().eq([mode.as_str()]));
        row.map_or(0, number)
    };
    let tile = |name, value, is_bad, link| Tile {
        name,
        value: count(value),
        is_bad: is_bad && value > 0,
        link,
    };
    let emulated = of_mode(Mode::Emulated, |row| row.cpu_ns);
    let agents = agents.map(|counts| counts.outcome(Outcome::Violated));
    let agents = agents.map(|count| tile("agents not as required", count, true, link::COVERAGE));
    let tiles = [
        tile("nodes reporting", coverage.reporting, false, link::NODES),
        tile("nodes stale", coverage.stale, true, link::NODES),
        tile("nodes unknown", coverage.unknown, true, link::NODES),
        tile("pods", pods, false, link::WORKLOADS),
        tile(
            "pods emulated",
            of_mode(Mode::Emulated, |row| row.pods),
            true,
            link::EMULATED,
        ),
        tile(
            "processes emulated now",
            of_mode(Mode::Emulated, |row| row.processes),
            true,
            link::EMULATED,
        ),
        Tile {
            name: "CPU time emulated",
            value: cpu(emulated),
            is_bad: emulated > 0,
            link: link::EMULATED,
        },
        tile(
            "pods with failed execs",
            of_mode(Mode::Failed, |row| row.pods),
            true,
            link::EVENTS,
        ),
    ];
    tiles.into_iter().chain(agents).collect()
}

fn kind(row: &SummaryRow, pods: u64) -> Kind {
    let value = |i| row.values.get(i).cloned().unwrap_or_default();
    let mode = value(1);
    Kind {
        arch: value(0),
        cpu: if_emulated(&mode, cpu(row.cpu_ns)),
        alive: if_emulated(&mode, count(row.processes)),
        nodes: count(row.nodes),
        pods: count(row.pods),
        binaries: count(row.facts),
        execs: count(row.count),
        share: Bar::new(row.pods, pods),
        mode,
    }
}

fn worst_of(row: &SummaryRow, burnt: u64) -> Worst {
    let value = |i| row.values.get(i).map_or("", String::as_str);
    let (cluster, namespace, workload) = (value(0), value(1), value(2));
    let mut name = Name::workload(cluster, namespace, workload);
    if workload.is_empty() {
        name.name = "not of a pod".to_owned();
        name.link = link::EMULATED.to_owned();
    }
    Worst {
        namespace: namespace.to_owned(),
        workload: name,
        pods: count(row.pods),
        nodes: count(row.nodes),
        alive: count(row.processes),
        cpu: cpu(row.cpu_ns),
        share: Bar::new(row.cpu_ns, burnt),
    }
}
