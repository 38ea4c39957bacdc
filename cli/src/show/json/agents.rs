//! How it is with a mandated agent on a node.

use archtrace_facts::coverage::{Past, Row, Status, WaiverNote};
use serde::Serialize;

use crate::show::human::utc;

#[derive(Serialize)]
pub(crate) struct Agent<'a> {
    agent: &'a str,
    cluster: &'a str,
    node: &'a str,
    node_arch: String,
    status: &'static str,
    since: Option<String>,
    waived_status: Option<&'static str>,
    waiver: Option<Waiver<'a>>,
    reason: &'a str,
    namespace: &'a str,
    pod: &'a str,
    workload: &'a str,
    unit: &'a str,
    binary: &'a str,
    image: &'a str,
    seen: Option<String>,
    past: Vec<Before>,
    /// Others, of whose nodes none is known: no row is theirs.
    agents_without_nodes: &'a [String],
}

#[derive(Serialize)]
struct Waiver<'a> {
    owner: &'a str,
    reason: &'a str,
    expires: String,
    expired: bool,
}

#[derive(Serialize)]
struct Before {
    status: &'static str,
    since: String,
    until: String,
}

pub(crate) fn agent<'a>(row: &'a Row, without_nodes: &'a [String]) -> Agent<'a> {
    Agent {
        agent: &row.place.agent,
        cluster: &row.place.cluster,
        node: &row.place.node,
        node_arch: row.node_arch.to_string(),
        status: row.status.as_str(),
        since: row.since.map(utc),
        waived_status: row.waived.map(Status::as_str),
        waiver: row.waiver.as_ref().map(waiver),
        reason: &row.reason,
        namespace: &row.namespace,
        pod: &row.pod,
        workload: &row.workload,
        unit: &row.unit,
        binary: &row.binary,
        image: &row.image,
        seen: row.seen.map(utc),
        past: row.past.iter().map(before).collect(),
        agents_without_nodes: without_nodes,
    }
}

fn waiver(told: &WaiverNote) -> Waiver<'_> {
    Waiver {
        owner: &told.owner,
        reason: &told.reason,
        expires: utc(told.expires),
        expired: told.expired,
    }
}

fn before(past: &Past) -> Before {
    Before {
        status: past.status.as_str(),
        since: utc(past.since),
        until: utc(past.until),
    }
}
