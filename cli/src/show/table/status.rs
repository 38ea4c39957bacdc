//! The collector itself, or an agent that answers for itself.

use std::time::SystemTime;

use archtrace_facts::fleet::ServerStatus;
use comfy_table::ContentArrangement;

use super::Listing;
use super::nodes::losses;
use crate::show::human::{age, bytes, count, duration, utc};

pub(crate) fn status(status: &ServerStatus, server: &str) -> String {
    let ServerStatus {
        version,
        started_at,
        heartbeat_interval,
        store,
        totals,
        authenticated,
        coverage,
        refusals,
        policy,
    } = status;
    let mut table = Listing::new(&[], ContentArrangement::Disabled);
    table.pair("asked", server);
    table.pair("version", version);
    table.pair(
        "started",
        format!(
            "{} ({})",
            age(*started_at, SystemTime::now()),
            utc(*started_at)
        ),
    );
    table.pair("heartbeat", duration(*heartbeat_interval));
    table.pair("store", format!("{store} ({})", bytes(totals.bytes)));
    table.pair(
        "peers",
        if *authenticated {
            "authenticated"
        } else {
            "not authenticated (development mode)"
        },
    );
    table.pair("nodes reporting", count(totals.nodes_reporting));
    table.pair("nodes stale", count(totals.nodes_stale));
    table.pair("nodes unknown", count(coverage.unknown));
    if !coverage.source.is_empty() {
        table.pair("nodes expected", source(&coverage.source));
    }
    table.pair("facts", count(totals.facts));
    table.pair("emulated facts", count(totals.emulated_facts));
    table.pair("failed facts", count(totals.failed_facts));
    table.pair("events", count(totals.events));
    table.pair("unexplained gap", count(totals.unexplained_gap));
    losses(&mut table, &totals.losses);
    for (reason, refused) in refusals {
        table.pair(&format!("refused: {reason}"), count(*refused));
    }
    match policy {
        None => table.pair("policy", "none"),
        Some(policy) => {
            let loaded = policy.loaded_at.map(utc).unwrap_or_default();
            let agents = count(policy.agents);
            let source = &policy.source;
            table.pair(
                "policy",
                format!("{source}, {agents} agent(s), loaded {loaded}"),
            );
            if !policy.problem.is_empty() {
                table.pair("policy not loaded", &policy.problem);
            }
        }
    }
    table.text()
}

/// Where the list of nodes comes from that should report.
fn source(word: &str) -> &str {
    match word {
        "kubernetes" => "those that Kubernetes has",
        "file" => "those that --nodes-file names",
        "seen" => "those that ever reported",
        other => other,
    }
}
