//! Pods whose names are yet to be stored.
//!
//! An agent may tell of a pod before the watch does, in a change that is not committed yet: so a name is
//! stored a while after it is known, and what an agent tells from then on, ingest names itself.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::{Counts, Names};
use crate::store::{NamedPod, Store, StoreError};

/// How long a name waits: longer than any commit that does not fail.
const SETTLE: Duration = Duration::from_secs(5);

/// How often a pod waits for somebody to tell what it belongs to: a minute in all. A ReplicaSet is there before
/// its pods, but another watch tells of it.
const TRIES: u8 = 12;

/// Pods that wait at once, some 200 bytes each. When there are more, no others are read.
const MOST: usize = 50_000;

/// Pods of one transaction: some milliseconds, for which agents wait.
const BATCH: usize = 500;

#[derive(Debug)]
struct Pod {
    due: Instant,
    tries: u8,
    namespace: String,
    name: String,
    uid: String,
}

/// They, in the order in which they are due.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pods: VecDeque<Pod>,
    /// Some were given up, because nobody told what they belong to.
    pub(super) gave_up: bool,
}

impl Waiting {
    pub(super) fn has_room(&self) -> bool {
        self.pods.len() < MOST
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    pub(super) fn add(&mut self, namespace: String, name: String, uid: String) {
        self.pods.push_back(Pod {
            due: Instant::now() + SETTLE,
            tries: 0,
            namespace,
            name,
            uid,
        });
    }

    /// Stores the names of those that are due.
    pub(super) async fn store<S: Store>(
        &mut self,
        store: &S,
        names: &Names,
        counts: &Counts,
    ) -> Result<(), StoreError> {
        loop {
            let batch = self.batch(names, counts);
            if batch.is_empty() {
                return Ok(());
            }
            match store.name_pods(batch.clone()).await {
                Ok(owners) => counts.named(owners),
                Err(error) => {
                    for pod in batch {
                        self.add(pod.namespace, pod.pod, pod.uid);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Some that are due, as they are known now.
    fn batch(&mut self, names: &Names, counts: &Counts) -> Vec<NamedPod> {
        let now = Instant::now();
        let known = names.read();
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(mut pod) = self.pods.pop_front_if(|pod| pod.due <= now)
        {
            if let Some(workload) = known.workload(&pod.uid, &pod.name) {
                batch.push(NamedPod {
                    namespace: pod.namespace,
                    pod: pod.name,
                    uid: pod.uid,
                    workload,
                });
            } else if !known.knows(&pod.uid) {
                // It is gone, and was so for a while.
            } else if pod.tries < TRIES {
                pod.tries += 1;
                pod.due = now + SETTLE;
                self.pods.push_back(pod);
            } else {
                counts.unresolved();
                self.gave_up = true;
            }
        }
        batch
    }
}
