//! Tells the store what machines nodes are, so that it stays known when they are gone from the list.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use archtrace_facts::fleet::Machine;
use archtrace_query::Expected;
use tokio::time::sleep;
use tracing::error;

use crate::store::{NodeId, Store, StoreError};

/// How often it looks: a node is asked about long after it began to report.
const EVERY: Duration = Duration::from_secs(30);

/// Runs for ever.
pub(crate) async fn run<S: Store>(store: &S, expected: &dyn Expected) {
    let mut told = HashMap::new();
    let mut failing = false;
    loop {
        let done = tell(store, expected, &mut told).await;
        if let Err(error) = &done
            && !failing
        {
            error!(%error, "cannot note what machines nodes are; trying again");
        }
        failing = done.is_err();
        sleep(EVERY).await;
    }
}

/// Tells what is new. `told` is what was told before.
async fn tell<S: Store>(
    store: &S,
    expected: &dyn Expected,
    told: &mut HashMap<NodeId, Machine>,
) -> Result<(), StoreError> {
    let expected = expected.nodes();
    if expected.machines.is_empty() {
        return Ok(());
    }
    let heads = store.heads().await?;
    if told.len() > heads.len() {
        let there: HashSet<_> = heads.iter().map(|head| head.node).collect();
        told.retain(|node, _| there.contains(node));
    }
    let known = heads.iter().filter_map(|head| {
        let machine = expected.machine(&head.cluster, &head.name)?;
        (told.get(&head.node) != Some(machine)).then(|| (head.node, machine.clone()))
    });
    let news: Vec<_> = known.collect();
    if news.is_empty() {
        return Ok(());
    }
    store.note_machines(news.clone()).await?;
    told.extend(news);
    Ok(())
}
