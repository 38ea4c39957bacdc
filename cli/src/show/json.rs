//! One object a line. The order of the fields is that of the structs; fields are only ever added,
//! at the end.

use std::time::Duration;

use archtrace_facts::fact::Cause;
use archtrace_facts::fleet::{LossTotal, NodeEvent, NodeFact, NodeStatus, ServerStatus};
use archtrace_facts::node::{Handler, HookReport};
use archtrace_facts::report::{NamedEvent, Record};
use serde::Serialize;

use super::human::{seconds, utc};

#[derive(Serialize)]
pub(super) struct Fact<'a> {
    node: &'a str,
    node_arch: String,
    namespace: &'a str,
    pod: &'a str,
    container: &'a str,
    cgroup: &'a str,
    binary: &'a str,
    arch: String,
    mode: &'static str,
    emulator: Option<&'a str>,
    count: u64,
    processes: u64,
    cpu_seconds: f64,
    first_seen: String,
    last_seen: String,
    path_resolved: bool,
    cause: Option<&'static str>,
    cluster: &'a str,
    current: bool,
}

pub(super) fn fact(value: &NodeFact) -> Fact<'_> {
    let (fact, names) = (&value.fact.fact, &value.fact.names);
    Fact {
        node: &value.node,
        node_arch: value.node_arch.to_string(),
        namespace: &names.namespace,
        pod: &names.pod,
        container: &names.container,
        cgroup: &fact.key.cgroup,
        binary: &fact.key.binary,
        arch: fact.key.arch.to_string(),
        mode: fact.key.mode.as_str(),
        emulator: fact.key.emulator.as_deref(),
        count: fact.count,
        processes: fact.processes,
        cpu_seconds: seconds(Duration::from_nanos(fact.cpu_ns)),
        first_seen: utc(fact.first_seen),
        last_seen: utc(fact.last_seen),
        path_resolved: fact.key.path_resolved,
        cause: fact.key.cause.map(Cause::as_str),
        cluster: &value.cluster,
        current: value.current,
    }
}

#[derive(Default, Serialize)]
pub(super) struct Event<'a> {
    node: &'a str,
    time: String,
    kind: &'static str,
    pid: Option<u32>,
    comm: &'a str,
    binary: &'a str,
    arch: String,
    cause: Option<&'a str>,
    errno: Option<i32>,
    emulator: Option<&'a str>,
    namespace: &'a str,
    pod: &'a str,
    container: &'a str,
    cgroup: &'a str,
    path_resolved: bool,
    cluster: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

pub(super) fn event(value: &NodeEvent) -> Event<'_> {
    let common = Event {
        node: &value.node,
        time: utc(value.record.time()),
        kind: value.record.kind(),
        cluster: &value.cluster,
        ..Event::default()
    };
    match &value.record {
        Record::Event(NamedEvent { event, names }) => Event {
            pid: Some(event.pid),
            comm: &event.comm,
            binary: &event.key.binary,
            arch: event.key.arch.to_string(),
            cause: event.key.cause.map(Cause::as_str),
            // An exec that succeeded has none.
            errno: event.key.cause.map(|_| event.errno),
            emulator: event.key.emulator.as_deref(),
            namespace: &names.namespace,
            pod: &names.pod,
            container: &names.container,
            cgroup: &event.key.cgroup,
            path_resolved: event.key.path_resolved,
            ..common
        },
        Record::Loss(loss) => Event {
            cause: Some(&loss.stage),
            count: Some(loss.count),
            since: Some(utc(loss.since)),
            until: Some(utc(loss.until)),
            ..common
        },
    }
}

#[derive(Serialize)]
pub(super) struct Node<'a> {
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
    attached_at: String,
    last_heard: String,
    facts: u64,
    emulated_facts: u64,
    failed_facts: u64,
    emulated_processes: u64,
    losses: Vec<Loss<'a>>,
    preflight: Preflight<'a>,
}

#[derive(Serialize)]
struct Loss<'a> {
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
struct BinfmtHandler<'a> {
    name: &'a str,
    enabled: bool,
    interpreter: &'a str,
    flags: &'a str,
    arch: Option<String>,
}

pub(super) fn node(value: &NodeStatus) -> Node<'_> {
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
        attached_at: utc(value.attached_at),
        last_heard: utc(value.last_heard),
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
        },
    }
}

fn losses(totals: &[LossTotal]) -> Vec<Loss<'_>> {
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
        } = handler;
        let arch = arch.map(|arch| arch.to_string());
        Self {
            name,
            enabled: *enabled,
            interpreter,
            flags,
            arch,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Status<'a> {
    server: &'a str,
    version: &'a str,
    started_at: String,
    heartbeat_seconds: f64,
    store: &'a str,
    store_bytes: u64,
    authenticated: bool,
    nodes_reporting: u64,
    nodes_stale: u64,
    facts: u64,
    emulated_facts: u64,
    failed_facts: u64,
    events: u64,
    unexplained_gap: u64,
    losses: Vec<Loss<'a>>,
}

pub(super) fn status<'a>(value: &'a ServerStatus, server: &'a str) -> Status<'a> {
    let totals = &value.totals;
    Status {
        server,
        version: &value.version,
        started_at: utc(value.started_at),
        heartbeat_seconds: seconds(value.heartbeat_interval),
        store: &value.store,
        store_bytes: totals.bytes,
        authenticated: value.authenticated,
        nodes_reporting: totals.nodes_reporting,
        nodes_stale: totals.nodes_stale,
        facts: totals.facts,
        emulated_facts: totals.emulated_facts,
        failed_facts: totals.failed_facts,
        events: totals.events,
        unexplained_gap: totals.unexplained_gap,
        losses: losses(&totals.losses),
    }
}
