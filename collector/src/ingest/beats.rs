//! Signs of life on their way to the store: collected, and written together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::limiter::Limiter;
use crate::store::{Beat, NodeId, Store};

/// How often they are written: what a crash of the collector takes back of them.
const EVERY: Duration = Duration::from_secs(1);

/// How many are written together, so that no other writer waits for long.
const TOGETHER: usize = 2000;

/// At most one per node that reports.
#[derive(Debug, Default)]
pub(super) struct Beats {
    waiting: Mutex<HashMap<NodeId, Beat>>,
}

impl Beats {
    /// Adds one. What an older one of the node said and this one does not is kept.
    pub(super) fn add(&self, beat: Beat) {
        match self.lock().entry(beat.node) {
            Entry::Vacant(entry) => {
                entry.insert(beat);
            }
            Entry::Occupied(mut entry) => {
                let older = entry.insert(beat);
                join(entry.get_mut(), older);
            }
        }
    }

    /// Writes them until `ended`, and then what is left.
    pub(super) async fn run<S: Store>(
        &self,
        store: &S,
        trouble: &Limiter,
        ended: CancellationToken,
    ) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while ended.run_until_cancelled(tick.tick()).await.is_some() {
            self.write(store, trouble).await;
        }
        self.write(store, trouble).await;
    }

    async fn write<S: Store>(&self, store: &S, trouble: &Limiter) {
        let mut beats = std::mem::take(&mut *self.lock()).into_values();
        loop {
            let some: Vec<_> = beats.by_ref().take(TOGETHER).collect();
            if some.is_empty() {
                return;
            }
            if let Err(error) = store.heartbeats(some.clone()).await {
                if let Some(more) = trouble.pass() {
                    error!(%error, more, "cannot store heartbeats; trying again");
                }
                some.into_iter()
                    .chain(beats)
                    .for_each(|beat| self.put_back(beat));
                return;
            }
        }
    }

    /// The store could not take it: it is older than what has come since.
    fn put_back(&self, older: Beat) {
        match self.lock().entry(older.node) {
            Entry::Vacant(entry) => {
                entry.insert(older);
            }
            Entry::Occupied(mut entry) => join(entry.get_mut(), older),
        }
    }

    /// Whole entries are replaced, so that a panic elsewhere does not matter here.
    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Beat>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an agent says of itself is said when it changes only, so that it must not get lost. What was said
/// in another epoch was about another run of the agent.
fn join(beat: &mut Beat, older: Beat) {
    if beat.epoch == older.epoch {
        beat.preflight = beat.preflight.take().or(older.preflight);
        beat.health = beat.health.take().or(older.health);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use archtrace_facts::node::Preflight;

    use super::*;

    fn beat(node: i64, epoch: u64, revision: u64, tells: bool) -> Beat {
        Beat {
            node: NodeId(node),
            epoch,
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(revision),
            revision,
            preflight: tells.then(Preflight::default),
            health: None,
        }
    }

    #[test]
    fn the_last_of_a_node_stays_with_all_that_was_told() {
        for (first, second, tells) in [
            ((1, false), (1, false), false),
            ((1, true), (1, false), true),
            ((1, false), (1, true), true),
            ((1, true), (2, false), false),
        ] {
            let older = beat(7, first.0, 1, first.1);
            let newer = beat(7, second.0, 2, second.1);
            let expected = Beat {
                preflight: tells.then(Preflight::default),
                ..newer.clone()
            };
            let in_order = Beats::default();
            in_order.add(older.clone());
            in_order.add(beat(8, 1, 1, false));
            in_order.add(newer.clone());
            let put_back = Beats::default();
            put_back.add(newer);
            put_back.put_back(older);
            for beats in [in_order, put_back] {
                assert_eq!(beats.lock().get(&NodeId(7)), Some(&expected));
            }
        }
    }
}
