//! The task that reads from the store what changed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use archtrace_facts::fleet::NodeEvent;
use tokio::time::{Instant, sleep};

use super::table::Table;
use super::{INTERVAL, Shared, State, Told, Use, growth, settle};
use crate::coverage::judged::Judged;
use crate::coverage::ledger;
use crate::read::{FactChange, Head, NodeId, Read, StoreError, Version};
use crate::service::alive_since;

/// Nodes whose changes are asked for at once: some thousand facts, a few milliseconds for which the
/// table is locked.
pub(crate) const NODES_AT_ONCE: usize = 100;

/// Reads changes until nobody asks any more, or the server ends.
pub(super) async fn run<S: Read>(shared: Arc<Shared<S>>) {
    let mut ended = Ended(Some(&shared));
    let mut looked = SystemTime::now();
    loop {
        let now = SystemTime::now();
        let passed = tokio::select! {
            passed = pass(&shared, looked) => passed,
            () = shared.stop.cancelled() => return,
        };
        if passed.is_ok() {
            looked = now;
        }
        if let Err(error) = passed {
            let was_away = matches!(*shared.state.borrow(), State::Away);
            if !was_away {
                tracing::warn!(%error, "cannot read what changed; answers about it wait for the store");
            }
            shared.state.send_replace(State::Away);
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            () = shared.stop.cancelled() => return,
        }
        let mut used = shared.used();
        let idle = |idle| used.followers == 0 && used.last.elapsed() > idle;
        if shared.idle.is_some_and(idle) {
            // While nobody can ask, so that whoever asks next starts another task.
            ended.0 = None;
            clear(&shared, &mut used);
            return;
        }
    }
}

/// Leaves nothing behind, however the task ends: the next question starts another one.
struct Ended<'a, S>(Option<&'a Shared<S>>);

impl<S> Drop for Ended<'_, S> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            clear(shared, &mut shared.used());
        }
    }
}

fn clear<S>(shared: &Shared<S>, used: &mut Use) {
    *shared.table.write().unwrap_or_else(PoisonError::into_inner) = Table::default();
    shared.events_known().clear();
    *shared.ledger_mut() = None;
    *shared.judged() = Judged::default();
    shared.recent.clear();
    shared.state.send_replace(State::Loading);
    used.runs = false;
}

/// Reads once what changed since somebody looked before.
async fn pass<S: Read>(shared: &Shared<S>, looked: SystemTime) -> Result<(), StoreError> {
    let at = Instant::now();
    let heads = shared.store.heads().await?;
    let versions: HashMap<_, _> = heads.iter().map(|head| (head.node, head.version)).collect();
    ledger::prepare(shared, &heads).await?;
    read_facts(shared, &heads, &versions, looked).await?;
    read_events(shared, &heads, &versions).await?;
    let coverage = shared.coverage_of(&heads, &[]);
    shared.state.send_modify(|state| {
        let coverage = match state {
            State::Current {
                coverage: known, ..
            } if **known == coverage => Arc::clone(known),
            State::Current { .. } | State::Loading | State::Away => Arc::new(coverage),
        };
        *state = State::Current { coverage, at };
    });
    Ok(())
}

async fn read_facts<S: Read>(
    shared: &Shared<S>,
    heads: &[Head],
    versions: &HashMap<NodeId, Version>,
    looked: SystemTime,
) -> Result<(), StoreError> {
    let news = write(shared, |table| {
        let news = table.take_heads(heads, alive_since(shared.heartbeat_interval));
        if let Some(ledger) = &mut *shared.ledger_mut() {
            news.gone.iter().for_each(|gone| ledger.forget(gone));
        }
        shared
            .changes
            .push(news.gone.iter().cloned().map(Told::Gone).collect());
        news
    });
    for nodes in news.moved.chunks(NODES_AT_ONCE) {
        let changes = shared.store.facts_since(nodes.to_vec()).await?;
        // What the store told of a node is complete up to the last change that it told of.
        let told = changes.iter().map(|change| (change.node, change.version));
        let told: Vec<_> = told.collect();
        write(shared, |table| {
            count(shared, table, &changes, looked);
            take(shared, table, nodes, changes, false);
            let known = nodes
                .iter()
                .filter_map(|(node, _)| Some((*node, *versions.get(node)?)));
            for (node, version) in known.chain(told) {
                table.reached(node, version);
            }
        });
    }
    // Whoever follows was told that these nodes report, or that they do not.
    for nodes in news.flipped.chunks(NODES_AT_ONCE) {
        if !shared.changes.is_followed() {
            break;
        }
        let nodes = nodes.iter().map(|node| (*node, Version::default()));
        let nodes: Vec<_> = nodes.collect();
        let changes = shared.store.facts_since(nodes.clone()).await?;
        write(shared, |table| take(shared, table, &nodes, changes, true));
    }
    write(shared, Table::tidy);
    Ok(())
}

fn write<S, T>(shared: &Shared<S>, change: impl FnOnce(&mut Table) -> T) -> T {
    change(&mut shared.table.write().unwrap_or_else(PoisonError::into_inner))
}

/// Tells whoever counts how facts grow by these changes, of which the table has none yet, and each fact is
/// changed once.
fn count<S>(shared: &Shared<S>, table: &Table, changes: &[FactChange], looked: SystemTime) {
    if let Some(counter) = &shared.counter {
        let grown = changes.iter();
        grown
            .filter_map(|change| growth::of(table, change, looked))
            .for_each(|growth| counter.grew(growth));
    }
}

/// Takes changes of these nodes in.
fn take<S>(
    shared: &Shared<S>,
    table: &mut Table,
    nodes: &[(NodeId, Version)],
    changes: Vec<FactChange>,
    again: bool,
) {
    let is_followed = shared.changes.is_followed();
    let mut told = Vec::new();
    let is_quiet = changes.is_empty();
    let mut ledger = shared.ledger_mut();
    for mut change in changes {
        if let Some(ledger) = &mut *ledger {
            ledger.take(&change);
        }
        let Some(current) = table.apply(&change) else {
            continue;
        };
        if is_followed {
            settle(&mut change.fact, current);
            told.push(Told::Change(Box::new(change), again));
        }
    }
    if !is_quiet {
        for (node, _) in nodes {
            table.sum_up(*node);
        }
    }
    shared.changes.push(told);
}

async fn read_events<S: Read>(
    shared: &Shared<S>,
    heads: &[Head],
    versions: &HashMap<NodeId, Version>,
) -> Result<(), StoreError> {
    let moved: Vec<_> = {
        let mut known = shared.events_known();
        if !shared.events.is_followed() && shared.ledger().is_none() {
            known.clone_from(versions);
            return Ok(());
        }
        known.retain(|node, _| versions.contains_key(node));
        // Of one that came back, what was before is history.
        let version = |head: &Head| known.get(&head.node).copied().unwrap_or(head.began);
        let moved = heads.iter().filter(|head| version(head) < head.version);
        moved.map(|head| (head.node, version(head))).collect()
    };
    for nodes in moved.chunks(NODES_AT_ONCE) {
        let events = shared.store.events_since(nodes.to_vec()).await?;
        let mut known = shared.events_known();
        for (node, _) in nodes {
            let version = versions.get(node).copied().unwrap_or_default();
            reach(&mut known, *node, version);
        }
        for (node, version, _) in &events {
            reach(&mut known, *node, *version);
        }
        if let Some(ledger) = &mut *shared.ledger_mut() {
            for (node, _, event) in &events {
                ledger.happened(*node, event);
            }
        }
        shared.events.push(in_time(events));
    }
    Ok(())
}

fn reach(known: &mut HashMap<NodeId, Version>, node: NodeId, version: Version) {
    let known = known.entry(node).or_default();
    *known = version.max(*known);
}

/// What came in together is told as it happened.
fn in_time(events: Vec<(NodeId, Version, NodeEvent)>) -> Vec<NodeEvent> {
    let mut events: Vec<_> = events.into_iter().map(|(_, _, event)| event).collect();
    events.sort_by_key(|event| event.record.time());
    events
}
