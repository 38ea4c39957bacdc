//! The collector, or an agent that answers for itself.

use std::collections::BTreeMap;

use archtrace_facts::fleet::ServerStatus;
use serde::Serialize;

use super::coverage::Whole;
use super::nodes::{Loss, losses};
use crate::show::human::{seconds, utc};

#[derive(Serialize)]
pub(crate) struct Status<'a> {
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
    coverage: Whole<'a>,
    refusals: BTreeMap<&'a str, u64>,
    policy: Option<Policy<'a>>,
}

#[derive(Serialize)]
struct Policy<'a> {
    source: &'a str,
    agents: u64,
    loaded_at: Option<String>,
    problem: Option<&'a str>,
}

pub(crate) fn status<'a>(value: &'a ServerStatus, server: &'a str) -> Status<'a> {
    let totals = &value.totals;
    let refusals = value.refusals.iter();
    let refusals = refusals.map(|(reason, count)| (reason.as_str(), *count));
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
        coverage: (&value.coverage).into(),
        refusals: refusals.collect(),
        policy: value.policy.as_ref().map(|policy| Policy {
            source: &policy.source,
            agents: policy.agents,
            loaded_at: policy.loaded_at.map(utc),
            problem: (!policy.problem.is_empty()).then_some(&policy.problem),
        }),
    }
}
