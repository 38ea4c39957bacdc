//! Handlers of `binfmt_misc`, of all nodes: one row each.

use std::time::SystemTime;

use archtrace_facts::fleet::NodeStatus;
use comfy_table::ContentArrangement;

use super::Listing;
use crate::show::human::{age, utc};

/// `wide` tells times as they are, and the cluster.
pub(crate) fn handlers(nodes: &[NodeStatus], wide: bool) -> String {
    let now = SystemTime::now();
    let mut head = Vec::new();
    head.extend(wide.then_some("CLUSTER"));
    head.extend([
        "NODE",
        "STATE",
        "NODE ARCH",
        "HANDLER",
        "RUNS",
        "INTERPRETER",
        "FLAGS",
        "ENABLED",
        "SINCE",
    ]);
    let arrangement = if wide {
        ContentArrangement::Disabled
    } else {
        ContentArrangement::Dynamic
    };
    let mut table = Listing::new(&head, arrangement);
    for node in nodes {
        for handler in &node.preflight.handlers {
            let runs = handler
                .arch
                .map_or("other files".to_owned(), |arch| arch.to_string());
            let since = match handler.since {
                Some(since) if wide => utc(since),
                Some(since) => age(since, now),
                None => String::new(),
            };
            let mut row = Vec::new();
            row.extend(wide.then(|| table.plain(&node.cluster)));
            row.extend([
                table.plain(&node.info.name),
                table.state(node.state),
                table.plain(node.info.arch),
                table.plain(&handler.name),
                table.plain(runs),
                table.plain(&handler.interpreter),
                table.plain(&handler.flags),
                table.plain(if handler.enabled { "yes" } else { "no" }),
                table.plain(since),
            ]);
            table.add(row);
        }
    }
    table.text()
}
