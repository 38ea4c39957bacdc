//! Facts.

use std::time::Duration;

use archtrace_facts::fact::{Cause, Via};
use archtrace_facts::fleet::NodeFact;
use serde::Serialize;

use super::identity::Owner;
use crate::show::human::{seconds, utc};

#[derive(Serialize)]
pub(crate) struct Fact<'a> {
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
    via: Option<&'static str>,
    #[serde(flatten)]
    owner: Owner<'a>,
    ended: bool,
}

pub(crate) fn fact(value: &NodeFact) -> Fact<'_> {
    let (fact, identity) = (&value.fact, &value.identity);
    Fact {
        node: &value.node,
        node_arch: value.node_arch.to_string(),
        namespace: &identity.namespace,
        pod: &identity.pod,
        container: &identity.container,
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
        via: fact.key.via.map(Via::as_str),
        owner: Owner::from(identity),
        ended: value.ended,
    }
}
