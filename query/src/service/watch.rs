//! The facts that agents keep now, then what changes.
//!
//! Somebody who watches gets the facts of each node from the store, with the version that they are of,
//! and from then on all changes that the live view reads, of which those up to that version are left
//! out. So nothing depends on the order in which changes of different nodes were committed.

pub(super) mod told;

use std::collections::HashMap;
use std::sync::Arc;

use archtrace_facts::fleet::{FactUpdate, NodeFact, RemovedFact};
use archtrace_facts::select::Selection;
use archtrace_proto::v1;
use tokio::time::Instant;
use tonic::Status;

use super::follow::{self, Follower, Gone};
use super::{Answers, Inner, ask};
use crate::live::{Found, Start, Told};
use crate::read::{FactChange, NodeId, Read, Version};
use told::ToldFacts;

/// Nodes whose facts are read at once.
const NODES_AT_ONCE: usize = 100;

pub(super) fn watch<S: Read>(
    query: &Arc<Inner<S>>,
    request: v1::WatchFactsRequest,
    deadline: Option<Instant>,
) -> Result<Answers<v1::WatchFactsResponse>, Status> {
    updates(query, ask::selection(request.selection)?, deadline)
}

/// The same for others within this service, as whatever an update becomes.
pub(super) fn updates<S, R>(
    query: &Arc<Inner<S>>,
    selection: Selection,
    deadline: Option<Instant>,
) -> Result<Answers<R>, Status>
where
    S: Read,
    R: for<'a> From<&'a FactUpdate> + Send + 'static,
{
    let (mut follower, ends, answers) = follow::open(query, deadline)?;
    let query = Arc::clone(query);
    tokio::spawn(async move {
        let telling = async {
            let mut reason = "start";
            loop {
                let TooSlow = tell_all(&query, &selection, reason, &mut follower).await?;
                reason = "slow_reader";
            }
        };
        ends.race(telling).await;
    });
    Ok(answers)
}

/// The reader did not take changes as fast as they came.
struct TooSlow;

/// Tells what is, and what changes, until the reader is too slow for that.
async fn tell_all<S, R>(
    query: &Inner<S>,
    selection: &Selection,
    reason: &str,
    follower: &mut Follower<S, R>,
) -> Result<TooSlow, Gone>
where
    S: Read,
    R: for<'a> From<&'a FactUpdate> + Send + 'static,
{
    let facts = query.live.loaded().await?;
    let Start {
        mut reader,
        versions: mut seen,
        nodes,
    } = facts.follow_facts(selection);
    let mut watcher = Watcher {
        selection,
        told: ToldFacts::new(selection, &query.told),
    };
    follower
        .tell(&FactUpdate::SnapshotBegin(reason.to_owned()))
        .await?;
    let mut count = 0;
    for nodes in nodes.chunks(NODES_AT_ONCE) {
        let changes = facts.facts_of(nodes).await.map_err(ask::unavailable)?;
        for change in changes {
            let version = seen.entry(change.node).or_default();
            *version = change.version.max(*version);
            if let Some(update) = watcher.update(change)? {
                count += u64::from(matches!(update, FactUpdate::Upsert(_)));
                follower.tell(&update).await?;
            }
        }
    }
    follower.tell(&FactUpdate::SnapshotEnd(count)).await?;
    loop {
        loop {
            match reader.next() {
                Found::Batch(batch) => {
                    for told in batch.iter() {
                        tell(&mut watcher, &seen, told, follower).await?;
                    }
                }
                Found::Missed(_) => return Ok(TooSlow),
                Found::Nothing => break,
            }
        }
        follower.wait(FactUpdate::Coverage).await?;
    }
}

async fn tell<S, R>(
    watcher: &mut Watcher<'_>,
    seen: &HashMap<NodeId, Version>,
    told: &Told,
    follower: &mut Follower<S, R>,
) -> Result<(), Gone>
where
    S: Read,
    R: for<'a> From<&'a FactUpdate> + Send + 'static,
{
    match told {
        Told::Change(change, again) => {
            let is_known = seen
                .get(&change.node)
                .is_some_and(|seen| change.version <= *seen);
            if is_known && !again {
                return Ok(());
            }
            match watcher.update(FactChange::clone(change))? {
                Some(update) => follower.tell(&update).await,
                None => Ok(()),
            }
        }
        Told::Gone(node) => {
            for id in &node.facts {
                let removed = RemovedFact {
                    cluster: node.cluster.clone(),
                    node: node.name.clone(),
                    id: *id,
                };
                if watcher.told.remove(node.id, *id) {
                    follower.tell(&FactUpdate::Removed(removed)).await?;
                }
            }
            Ok(())
        }
    }
}

struct Watcher<'a> {
    selection: &'a Selection,
    told: ToldFacts,
}

impl Watcher<'_> {
    /// What is to be told of this.
    fn update(&mut self, change: FactChange) -> Result<Option<FactUpdate>, Status> {
        let FactChange { node, id, fact, .. } = change;
        if !fact.ended && self.selection.matches_fact(&fact) {
            self.told.insert(node, id)?;
            return Ok(Some(FactUpdate::Upsert(Box::new(fact))));
        }
        let NodeFact {
            cluster,
            node: name,
            ..
        } = fact;
        let removed = RemovedFact {
            cluster,
            node: name,
            id,
        };
        let was_told = self.told.remove(node, id);
        Ok(was_told.then_some(FactUpdate::Removed(removed)))
    }
}
