//! `archtrace cost`.

use std::time::SystemTime;

use archtrace_facts::cost::Pricing;

use super::{nothing, print, warn};
use crate::args::{CostArgs, OfNodes, OfPods, Output};
use crate::client::{Client, CostQuestion};
use crate::failure::Failure;
use crate::{prices, show};

pub(super) async fn cost(client: &Client, output: Output, args: &CostArgs) -> Result<(), Failure> {
    let CostArgs {
        since,
        until,
        by,
        limit,
        prices,
        slowdown,
        of_nodes: OfNodes { clusters, nodes },
        of_pods: OfPods {
            namespaces,
            workloads,
        },
    } = args;
    // Before anybody is asked: a table that does not read is the user's to mend.
    let pricing = Pricing {
        prices: prices.as_deref().map(prices::read).transpose()?,
        slowdown: *slowdown,
    };
    let now = SystemTime::now();
    let answer = client
        .cost(&CostQuestion {
            since: since.at(now),
            until: until.and_then(|until| until.at(now)),
            by: &by.0,
            limit: *limit,
            clusters,
            nodes,
            namespaces,
            workloads,
            pricing: &pricing,
        })
        .await?;
    warn(&answer.coverage);
    if answer.told.rows.is_empty() {
        let what = format!("CPU time under emulation {}", since.words());
        return nothing(client, &what, nodes).await;
    }
    for line in show::unpriced(&answer.told) {
        eprintln!("warning: {line}");
    }
    print(&show::cost(&answer, &by.0, *slowdown, output))
}
