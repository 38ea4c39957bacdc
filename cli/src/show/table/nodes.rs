//! Nodes: one row each, or one block each.

use std::time::{Duration, SystemTime};

use archtrace_facts::fleet::{LossTotal, NodeStatus};
use archtrace_facts::node::{Handler, Preflight, Uncovered};
use comfy_table::ContentArrangement;

use super::Listing;
use crate::show::human::{age, bytes, count, duration, utc};

pub(crate) fn nodes(nodes: &[NodeStatus]) -> String {
    let now = SystemTime::now();
    // Most fleets have neither; then their columns would only be empty.
    let counted = nodes
        .iter()
        .any(|node| !node.info.cpu_generation.is_empty());
    let sandboxed = nodes
        .iter()
        .any(|node| !node.preflight.uncovered.is_empty());
    let mut head = vec!["NODE", "STATE", "ARCH"];
    head.extend(counted.then_some("CPU"));
    head.extend(["KERNEL", ">TIER", ">HANDLERS"]);
    head.extend(sandboxed.then_some(">NOT COVERED"));
    head.extend([">FACTS", ">EMULATED", ">FAILED", ">ALIVE", ">LOST", "HEARD"]);
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for node in nodes {
        let (info, preflight) = (&node.info, &node.preflight);
        let mut row = vec![
            table.plain(&info.name),
            table.state(node.state),
            table.plain(info.arch),
        ];
        row.extend(counted.then(|| table.plain(&info.cpu_generation)));
        row.extend([
            table.plain(&info.kernel_release),
            table.number(tier(preflight)),
            table.number(count(preflight.handlers.len() as u64)),
        ]);
        row.extend(sandboxed.then(|| table.number(count(preflight.uncovered.len() as u64))));
        row.extend([
            table.number(count(node.facts)),
            table.number(count(node.emulated_facts)),
            table.number(count(node.failed_facts)),
            table.number(count(node.emulated_processes)),
            table.number(count(all_lost(&node.losses))),
            table.plain(
                node.last_heard
                    .map_or_else(|| "never".to_owned(), |heard| age(heard, now)),
            ),
        ]);
        table.add(row);
    }
    table.text()
}

/// One block per node: what was missing there and why does not fit a row.
pub(crate) fn nodes_wide(nodes: &[NodeStatus]) -> String {
    let mut text = String::new();
    for node in nodes {
        let mut table = Listing::new(&[], ContentArrangement::Disabled);
        let (info, preflight) = (&node.info, &node.preflight);
        table.pair("node", &info.name);
        table.pair("cluster", &node.cluster);
        table.pair("uid", &info.uid);
        let state = vec![table.plain("state"), table.state(node.state)];
        table.add(state);
        if let Some(heard) = node.last_heard {
            table.pair("heard", utc(heard));
        }
        if let Some(attached) = node.attached_at {
            table.pair("attached", utc(attached));
        }
        table.pair("arch", info.arch);
        table.pair("cpu", &info.cpu_model);
        table.pair("cpu generation", &info.cpu_generation);
        table.pair("cpu features", info.cpu_features.join(" "));
        table.pair("32-bit programs", runs(info.runs_32bit));
        table.pair("kernel", &info.kernel_release);
        table.pair("lockdown", &info.lockdown);
        table.pair("page size", bytes(info.page_size.into()));
        table.pair("boot id", &info.boot_id);
        table.pair("agent", &info.agent_version);
        for hook in &preflight.hooks {
            let mechanism = if hook.mechanism.is_empty() {
                "nothing"
            } else {
                &hook.mechanism
            };
            let proven = if hook.proven { ", proven" } else { "" };
            let told = format!("{mechanism}, tier {}{proven}", hook.tier);
            table.pair(&format!("hook {}", hook.name), told);
            hook.reasons
                .iter()
                .for_each(|reason| table.pair("", reason));
        }
        table.pair("binfmt_misc", &preflight.binfmt);
        table.pair("names of pods", &preflight.names);
        for handler in &preflight.handlers {
            table.pair(&format!("handler {}", handler.name), registered(handler));
        }
        for Uncovered { cgroup, runtime } in &preflight.uncovered {
            table.pair("not covered", format!("{runtime}: {cgroup}"));
        }
        preflight
            .missing
            .iter()
            .for_each(|missing| table.pair("missing", missing));
        table.pair("facts", count(node.facts));
        table.pair("emulated facts", count(node.emulated_facts));
        table.pair("failed facts", count(node.failed_facts));
        table.pair("emulated alive", count(node.emulated_processes));
        losses(&mut table, &node.losses);
        if let Some(health) = &node.health {
            table.pair("agent's memory", bytes(health.resident_bytes));
            let used = Duration::from_nanos(health.cpu_ns);
            table.pair("agent's cpu time", duration(used));
            table.pair("records waiting", count(health.queued_records));
            table.pair(
                "kept in",
                format!("{} ({})", health.spool, bytes(health.spooled_bytes)),
            );
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&table.text());
    }
    text
}

fn runs(runs: Option<bool>) -> &'static str {
    match runs {
        Some(true) => "run",
        Some(false) => "do not run",
        None => "not known",
    }
}

fn registered(handler: &Handler) -> String {
    let Handler {
        name: _,
        enabled,
        interpreter,
        flags,
        arch,
        since,
    } = handler;
    let arch = arch.map_or("other files".to_owned(), |arch| arch.to_string());
    let enabled = if *enabled { "" } else { ", disabled" };
    let since = since.map_or(String::new(), |since| format!(", since {}", utc(since)));
    format!("{arch}: {interpreter} ({flags}{enabled}){since}")
}

/// The worst tier that serves a hook; `-` if one is not served at all.
fn tier(preflight: &Preflight) -> String {
    let tiers = preflight.hooks.iter().map(|hook| hook.tier);
    match (tiers.clone().min(), tiers.max()) {
        (Some(1..), Some(worst)) => worst.to_string(),
        _ => "-".to_owned(),
    }
}

fn all_lost(losses: &[LossTotal]) -> u64 {
    losses
        .iter()
        .fold(0, |sum, loss| sum.saturating_add(loss.count))
}

pub(super) fn losses(table: &mut Listing, losses: &[LossTotal]) {
    for LossTotal {
        stage,
        count: lost,
        records,
    } in losses
    {
        table.pair(
            &format!("lost at {stage}"),
            format!("{} in {}", count(*lost), count(*records)),
        );
    }
}
