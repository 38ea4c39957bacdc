//! Nodes.

use std::time::Duration;

use archtrace_facts::fleet::{LossTotal, NodeStatus};
use archtrace_facts::node::{Handler, Health, HookReport, Uncovered};
use serde::Serialize;

use crate::show::human::{seconds, utc};

#[derive(Serialize)]
pub(crate) struct Node<'a> {
    node: &'a str,
    node_arch: String,
    state: &'static str,
    cluster: &'a str,
    uid: &'a str,
    kernel_release: &'a str,
    cpu_model: &'a str,
    page_size: u32,
    boot_id: &'a str,
    agent_version: &'a str,
    attached_at: Option<String>,
    last_heard: Option<String>,
    facts: u64,
    emulated_facts: u64,
    failed_facts: u64,
    emulated_processes: u64,
    losses: Vec<Loss<'a>>,
    preflight: Preflight<'a>,
    cpu_generation: &'a str,
    cpu_features: &'a [String],
    runs_32bit: Option<bool>,
    lockdown: &'a str,
    health: Option<AgentHealth<'a>>,
}

/// How the agent itself does.
#[derive(Serialize)]
struct AgentHealth<'a> {
    resident_bytes: u64,
    cpu_seconds: f64,
    queued_records: u64,
    spooled_bytes: u64,
    spool: &'a str,
}

/// A handler of one node.
#[derive(Serialize)]
pub(crate) struct NodeHandler<'a> {
    node: &'a str,
    node_arch: String,
    state: &'static str,
    cluster: &'a str,
    handler: BinfmtHandler<'a>,
}

#[derive(Serialize)]
pub(super) struct Loss<'a> {
    stage: &'a str,
    count: u64,
    records: u64,
}

#[derive(Serialize)]
struct Preflight<'a> {
    hooks: Vec<Hook<'a>>,
    missing: &'a [String],
    handlers: Vec<BinfmtHandler<'a>>,
    binfmt: &'a str,
    uncovered: Vec<UncoveredPod<'a>>,
    names: &'a str,
}

#[derive(Serialize)]
struct UncoveredPod<'a> {
    cgroup: &'a str,
    runtime: &'a str,
}

#[derive(Serialize)]
struct Hook<'a> {
    name: &'a str,
    mechanism: &'a str,
    tier: u32,
    proven: bool,
    reasons: &'a [String],
}

#[derive(Serialize)]
pub(super) struct BinfmtHandler<'a> {
    name: &'a str,
    enabled: bool,
    interpreter: &'a str,
    flags: &'a str,
    arch: Option<String>,
    since: Option<String>,
}

pub(crate) fn node(value: &NodeStatus) -> Node<'_> {
    Node {
        node: &value.info.name,
        node_arch: value.info.arch.to_string(),
        state: value.state.as_str(),
        cluster: &value.cluster,
        uid: &value.info.uid,
        kernel_release: &value.info.kernel_release,
        cpu_model: &value.info.cpu_model,
        page_size: value.info.page_size,
        boot_id: &value.info.boot_id,
        agent_version: &value.info.agent_version,
        attached_at: value.attached_at.map(utc),
        last_heard: value.last_heard.map(utc),
        facts: value.facts,
        emulated_facts: value.emulated_facts,
        failed_facts: value.failed_facts,
        emulated_processes: value.emulated_processes,
        losses: losses(&value.losses),
        preflight: Preflight {
            hooks: value.preflight.hooks.iter().map(Hook::from).collect(),
            missing: &value.preflight.missing,
            handlers: value
                .preflight
                .handlers
                .iter()
                .map(BinfmtHandler::from)
                .collect(),
            binfmt: &value.preflight.binfmt,
            names: &value.preflight.names,
            uncovered: value
                .preflight
                .uncovered
                .iter()
                .map(UncoveredPod::from)
                .collect(),
        },
        cpu_generation: &value.info.cpu_generation,
        cpu_features: &value.info.cpu_features,
        runs_32bit: value.info.runs_32bit,
        lockdown: &value.info.lockdown,
        health: value.health.as_ref().map(AgentHealth::from),
    }
}

/// The handlers that a node has.
pub(crate) fn handlers(value: &NodeStatus) -> impl Iterator<Item = NodeHandler<'_>> {
    let handlers = value.preflight.handlers.iter();
    handlers.map(|handler| NodeHandler {
        node: &value.info.name,
        node_arch: value.info.arch.to_string(),
        state: value.state.as_str(),
        cluster: &value.cluster,
        handler: handler.into(),
    })
}

impl<'a> From<&'a Health> for AgentHealth<'a> {
    fn from(health: &'a Health) -> Self {
        let Health {
            resident_bytes,
            cpu_ns,
            queued_records,
            spooled_bytes,
            spool,
        } = health;
        Self {
            resident_bytes: *resident_bytes,
            cpu_seconds: seconds(Duration::from_nanos(*cpu_ns)),
            queued_records: *queued_records,
            spooled_bytes: *spooled_bytes,
            spool,
        }
    }
}

pub(super) fn losses(totals: &[LossTotal]) -> Vec<Loss<'_>> {
    totals.iter().map(Loss::from).collect()
}

impl<'a> From<&'a LossTotal> for Loss<'a> {
    fn from(
        LossTotal {
            stage,
            count,
            records,
        }: &'a LossTotal,
    ) -> Self {
        Self {
            stage,
            count: *count,
            records: *records,
        }
    }
}

impl<'a> From<&'a HookReport> for Hook<'a> {
    fn from(hook: &'a HookReport) -> Self {
        let HookReport {
            name,
            mechanism,
            tier,
            proven,
            reasons,
        } = hook;
        Self {
            name,
            mechanism,
            tier: *tier,
            proven: *proven,
            reasons,
        }
    }
}

impl<'a> From<&'a Handler> for BinfmtHandler<'a> {
    fn from(handler: &'a Handler) -> Self {
        let Handler {
            name,
            enabled,
            interpreter,
            flags,
            arch,
            since,
        } = handler;
        let arch = arch.map(|arch| arch.to_string());
        Self {
            name,
            enabled: *enabled,
            interpreter,
            flags,
            arch,
            since: since.map(utc),
        }
    }
}

impl<'a> From<&'a Uncovered> for UncoveredPod<'a> {
    fn from(Uncovered { cgroup, runtime }: &'a Uncovered) -> Self {
        Self { cgroup, runtime }
    }
}
