//! Lets the store forget what is old, and nodes that are gone for good.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_export::Progress;
use archtrace_facts::fleet::ExpectedNodes;
use archtrace_query::Expected;
use archtrace_query::read::Head;
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info};

use crate::exports;
use crate::store::{Keep, NodeId, Store, StoreError};

/// How often it looks: what is old may stay for so much longer.
const EVERY: Duration = Duration::from_secs(300);

/// Between two deletions, so that those who write come in between.
const BREATH: Duration = Duration::from_millis(50);

/// How long agents may take to come back after a collector or a store was away: longer than they do.
const COME_BACK: Duration = Duration::from_secs(600);

/// Nodes that are forgotten at once, each with all of its facts: their agents, which are away, wait for nothing, but
/// in SQLite everybody does.
const NODES: usize = 100;

/// What is kept for how long.
pub(crate) struct Rules {
    pub(crate) keep: Keep,
    /// Nodes that are silent and on no list; for ever if `None`.
    pub(crate) nodes: Option<Duration>,
    pub(crate) expected: Arc<dyn Expected>,
}

/// Runs for ever. What `exports` have not passed on by then is counted.
pub(crate) async fn run<S: Store>(store: &S, rules: Rules, exports: &[Arc<Progress>]) {
    let mut listening = Listening::default();
    let mut failing = false;
    loop {
        match once(store, &rules, exports, &mut listening).await {
            Ok((0, 0)) => {
                failing = false;
                debug!("nothing is too old");
            }
            Ok((rows, nodes)) => {
                failing = false;
                info!(rows, nodes, "deleted what was too old");
            }
            Err(error) => {
                if !failing {
                    error!(%error, "cannot delete what is too old; trying again");
                }
                failing = true;
                listening = Listening::default();
            }
        }
        sleep(EVERY).await;
    }
}

/// Since when whoever speaks is heard: while this collector, its store or its whole machine was away, silence says
/// nothing.
struct Listening {
    since: Instant,
    looked: SystemTime,
}

impl Default for Listening {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            looked: SystemTime::now(),
        }
    }
}

impl Listening {
    /// Whether nodes that are not heard at `now` are silent.
    fn is_long_enough(&mut self, now: SystemTime) -> bool {
        // A machine that slept, or a clock that was set.
        let passed = now.duration_since(self.looked);
        if passed.is_ok_and(|passed| passed > COME_BACK) {
            self.since = Instant::now();
        }
        self.looked = now;
        self.since.elapsed() > COME_BACK
    }
}

/// How many rows were deleted, and how many nodes forgotten.
async fn once<S: Store>(
    store: &S,
    rules: &Rules,
    exports: &[Arc<Progress>],
    listening: &mut Listening,
) -> Result<(u64, u64), StoreError> {
    // One point in time, so that what is counted is what is deleted.
    let now = SystemTime::now();
    let before = |kept| now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut nodes = 0;
    if let Some(kept) = rules.nodes
        && listening.is_long_enough(now)
    {
        nodes = forget(store, &rules.expected.nodes(), exports, before(kept)).await?;
    }
    exports::count_skipped(store, exports, before(rules.keep.events)).await?;
    let mut rows = 0_u64;
    loop {
        let gone = store.expire(rules.keep, now).await?;
        if gone == 0 {
            return Ok((rows, nodes));
        }
        rows = rows.saturating_add(gone);
        sleep(BREATH).await;
    }
}

/// Forgets nodes that nobody expects, that were silent since then, and of which exports have nothing left to pass on.
async fn forget<S: Store>(
    store: &S,
    expected: &ExpectedNodes,
    exports: &[Arc<Progress>],
    silent_since: SystemTime,
) -> Result<u64, StoreError> {
    let heads = store.heads().await?;
    let is_unlisted = expected.unlisted();
    let is_gone =
        |head: &&Head| head.last_heard < silent_since && is_unlisted(&head.cluster, &head.name);
    let gone: Vec<_> = heads.iter().filter(is_gone).collect();
    let mut forgotten = 0;
    for heads in gone.chunks(NODES) {
        let mut nodes: Vec<NodeId> = Vec::new();
        for head in heads {
            if exports::are_through(store, exports, head.node).await? {
                nodes.push(head.node);
            }
        }
        let count = store.forget(nodes, silent_since).await?;
        if count > 0 {
            let (first, source) = (heads.first().map(|head| &head.name), &expected.source);
            info!(
                count,
                first, source, "forgot nodes that were silent for --keep-nodes and on no list"
            );
        }
        forgotten += count;
        sleep(BREATH).await;
    }
    Ok(forgotten)
}

#[cfg(test)]
mod tests;
