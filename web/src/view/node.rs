//! Nodes: all, and one.

use std::time::SystemTime;

use archtrace_facts::coverage::Row;
use archtrace_facts::fact::Mode;
use archtrace_facts::fleet::{NodeEvent, NodeFact, NodeState, NodeStatus};
use archtrace_facts::human::{bytes, count};
use archtrace_facts::node::{Handler, HookReport, Preflight};
use askama::Template;

use super::covered::CoveredRow;
use super::{EventRow, Frame, Name, When, cpu, event_rows, if_emulated};
use crate::link;

/// A row of all nodes.
pub(crate) struct NodeRow {
    pub(crate) cluster: String,
    pub(crate) name: Name,
    pub(crate) state: &'static str,
    pub(crate) arch: String,
    pub(crate) cpu: String,
    pub(crate) kernel: String,
    pub(crate) tier: String,
    pub(crate) emulated: String,
    pub(crate) alive: String,
    pub(crate) failed: String,
    pub(crate) lost: String,
    pub(crate) heard: Option<When>,
}

impl NodeRow {
    pub(crate) fn new(node: &NodeStatus, now: SystemTime) -> Self {
        let info = &node.info;
        // One that never reported has no page.
        let name = match node.state {
            NodeState::Unknown => Name {
                name: info.name.clone(),
                link: String::new(),
            },
            NodeState::Reporting | NodeState::Stale => Name::node(&node.cluster, &info.name),
        };
        let lost = node.losses.iter().map(|loss| loss.count);
        Self {
            cluster: node.cluster.clone(),
            name,
            state: node.state.as_str(),
            arch: info.arch.to_string(),
            cpu: info.cpu_generation.clone(),
            kernel: info.kernel_release.clone(),
            tier: tier(&node.preflight),
            emulated: count(node.emulated_facts),
            alive: count(node.emulated_processes),
            failed: count(node.failed_facts),
            lost: count(lost.fold(0, u64::saturating_add)),
            heard: node.last_heard.map(|heard| When::new(heard, now)),
        }
    }
}

/// The worst tier that serves a hook; `-` if one is not served at all.
fn tier(preflight: &Preflight) -> String {
    let tiers = preflight.hooks.iter().map(|hook| hook.tier);
    match (tiers.clone().min(), tiers.max()) {
        (Some(1..), Some(worst)) => worst.to_string(),
        _ => "–".to_owned(),
    }
}

/// What was answered of one node.
pub(crate) struct Heard<'a> {
    pub(crate) facts: &'a [NodeFact],
    /// Whether there are more.
    pub(crate) is_cut: bool,
    pub(crate) events: &'a [NodeEvent],
    /// Agents that have to run there.
    pub(crate) agents: &'a [Row],
}

/// One node.
#[derive(Template)]
#[template(path = "node.html")]
pub(crate) struct NodeView {
    frame: Frame,
    row: NodeRow,
    /// What it is, by name.
    about: Vec<(&'static str, String)>,
    hooks: Vec<HookReport>,
    missing: Vec<String>,
    handlers: Vec<HandlerRow>,
    uncovered: Vec<(String, String)>,
    losses: Vec<(String, String)>,
    facts: Vec<FactRow>,
    is_cut: bool,
    events: Vec<EventRow>,
    agents: Vec<CoveredRow>,
    with_place: bool,
}

struct HandlerRow {
    handler: Handler,
    arch: String,
    since: Option<When>,
}

struct FactRow {
    place: Name,
    binary: String,
    arch: String,
    mode: Mode,
    more: String,
    execs: String,
    alive: String,
    cpu: String,
    last: When,
}

impl NodeView {
    pub(crate) fn new(node: &NodeStatus, heard: &Heard<'_>, now: SystemTime) -> Self {
        let Heard {
            facts,
            is_cut,
            events,
            agents,
        } = *heard;
        let NodeStatus {
            info, preflight, ..
        } = node;
        let agents = agents.iter().map(|row| CoveredRow::new(row, now));
        let agents: Vec<_> = agents.collect();
        let handlers = preflight.handlers.iter().map(|handler| HandlerRow {
            arch: handler
                .arch
                .map_or("other files".to_owned(), |arch| arch.to_string()),
            since: handler.since.map(|since| When::new(since, now)),
            handler: handler.clone(),
        });
        let uncovered = preflight.uncovered.iter();
        let uncovered = uncovered.map(|pod| (pod.runtime.clone(), pod.cgroup.clone()));
        let losses = node.losses.iter();
        let losses = losses.map(|loss| (loss.stage.clone(), count(loss.count)));
        Self {
            frame: Frame::new(info.name.clone(), link::NODES),
            row: NodeRow::new(node, now),
            about: about(node),
            hooks: preflight.hooks.clone(),
            missing: preflight.missing.clone(),
            handlers: handlers.collect(),
            uncovered: uncovered.collect(),
            losses: losses.collect(),
            facts: facts.iter().map(|fact| fact_row(fact, now)).collect(),
            is_cut,
            events: event_rows(events, now),
            with_place: agents.iter().any(CoveredRow::has_place),
            agents,
        }
    }
}

/// Without what is not known.
fn about(node: &NodeStatus) -> Vec<(&'static str, String)> {
    let (info, preflight) = (&node.info, &node.preflight);
    let health = node.health.as_ref();
    let runs = match info.runs_32bit {
        Some(true) => "run",
        Some(false) => "do not run",
        None => "",
    };
    let about = [
        ("Cluster", node.cluster.clone()),
        ("Architecture", info.arch.to_string()),
        ("CPU", info.cpu_model.clone()),
        ("CPU generation", info.cpu_generation.clone()),
        ("32-bit programs", runs.to_owned()),
        ("Kernel", info.kernel_release.clone()),
        ("Lockdown", info.lockdown.clone()),
        ("Page size", bytes(info.page_size.into())),
        ("Agent", info.agent_version.clone()),
        (
            "Agent's memory",
            health.map_or_else(String::new, |health| bytes(health.resident_bytes)),
        ),
        (
            "Agent's CPU time",
            health.map_or_else(String::new, |health| cpu(health.cpu_ns)),
        ),
        ("binfmt_misc", preflight.binfmt.clone()),
        ("Names of pods", preflight.names.clone()),
    ];
    let known = about.into_iter().filter(|(_, value)| !value.is_empty());
    known.collect()
}

fn fact_row(value: &NodeFact, now: SystemTime) -> FactRow {
    let (fact, identity) = (&value.fact, &value.identity);
    let place = match identity.place() {
        place if place.is_empty() => fact.key.cgroup.clone(),
        place => place,
    };
    let cause = fact.key.cause.map(|cause| cause.as_str().to_owned());
    FactRow {
        place: Name {
            name: place,
            link: link::workload(&value.cluster, &identity.namespace, &identity.workload),
        },
        binary: fact.key.shown_binary(),
        arch: fact.key.arch.to_string(),
        mode: fact.key.mode,
        more: fact.key.emulator.clone().or(cause).unwrap_or_default(),
        execs: count(fact.count),
        alive: if_emulated(fact.key.mode.as_str(), count(fact.processes)),
        cpu: if_emulated(fact.key.mode.as_str(), cpu(fact.cpu_ns)),
        last: When::new(fact.last_seen, now),
    }
}
