//! Findings.

use archtrace_facts::fleet::FleetFinding;
use serde::Serialize;

use crate::show::human::utc;

#[derive(Serialize)]
pub(crate) struct Finding<'a> {
    finding: &'a str,
    severity: &'static str,
    title: &'a str,
    cluster: &'a str,
    namespace: &'a str,
    subject: &'a str,
    subject_kind: &'static str,
    binary: &'a str,
    arch: &'a str,
    emulator: &'a str,
    nodes: u64,
    node_names: &'a [String],
    evidence: u64,
    processes: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
}

pub(crate) fn finding(value: &FleetFinding) -> Finding<'_> {
    Finding {
        finding: &value.id,
        severity: value.severity.as_str(),
        title: &value.title,
        cluster: &value.cluster,
        namespace: &value.namespace,
        subject: &value.subject,
        subject_kind: value.subject_kind.as_str(),
        binary: &value.binary,
        arch: &value.arch,
        emulator: &value.emulator,
        nodes: value.nodes,
        node_names: &value.node_names,
        evidence: value.evidence,
        processes: value.processes,
        first_seen: value.first_seen.map(utc),
        last_seen: value.last_seen.map(utc),
    }
}
