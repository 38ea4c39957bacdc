//! Events as they happened, then as they come in.
//!
//! What was stored when the stream began is told by its time, what came later by the order in which it
//! came. Each node's version of that moment tells the two apart, so that nothing is told twice and nothing
//! is left out, whatever is stored meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use archtrace_facts::fleet::{EventUpdate, NodeEvent};
use archtrace_facts::select::{Filter, Selection};
use archtrace_proto::v1;
use tokio::time::Instant;
use tonic::Status;

use super::follow::{self, Follower, Gone};
use super::{Answers, Inner, ask};
use crate::live::Found;
use crate::read::{EventCursor, EventQuery, NodeId, Read, Version};

/// Events read at once: some hundred kB.
const PAGE: u32 = 500;

type Sink<S> = Follower<S, v1::StreamEventsResponse>;

/// What is asked for.
struct Asked {
    selection: Selection,
    kinds: Vec<String>,
    /// Whether what was stored before is asked for.
    history: bool,
    follow: bool,
}

impl Asked {
    fn means(&self, event: &NodeEvent) -> bool {
        let kind = event.record.kind();
        (self.kinds.is_empty() || self.kinds.iter().any(|asked| asked == kind))
            && self.selection.matches_event(event)
    }
}

pub(super) fn stream<S: Read>(
    query: &Arc<Inner<S>>,
    request: v1::StreamEventsRequest,
    deadline: Option<Instant>,
) -> Result<Answers<v1::StreamEventsResponse>, Status> {
    let v1::StreamEventsRequest {
        selection,
        kinds,
        since,
        follow,
    } = request;
    let mut selection = ask::selection(selection)?;
    let since = ask::time("since", since)?;
    if since.is_none() && !follow {
        return Err(Status::invalid_argument(
            "since: is missing; without it and without follow there is nothing to tell",
        ));
    }
    if let Some(since) = since {
        selection = selection_since(selection, since);
    }
    let asked = Asked {
        selection,
        kinds: ask::kinds(kinds)?,
        history: since.is_some(),
        follow,
    };
    let (mut follower, ends, answers) = follow::open(query, deadline)?;
    let query = Arc::clone(query);
    tokio::spawn(async move { ends.race(tell(&query, &asked, &mut follower)).await });
    Ok(answers)
}

/// Each of the filters, and nothing from before.
pub(super) fn selection_since(mut selection: Selection, since: SystemTime) -> Selection {
    if selection.allow.is_empty() {
        selection.allow.push(Filter::default());
    }
    for filter in &mut selection.allow {
        filter.since = Some(filter.since.map_or(since, |own| own.max(since)));
    }
    selection
}

async fn tell<S: Read>(
    query: &Inner<S>,
    asked: &Asked,
    follower: &mut Sink<S>,
) -> Result<(), Gone> {
    let live = query.live.loaded().await?;
    let following = asked.follow.then(|| live.follow_events());
    follower.tell_coverage(EventUpdate::Coverage).await?;
    if asked.history {
        let known = following.as_ref().map(|(_, known)| known);
        tell_history(query, asked, known, follower).await?;
    }
    let Some((mut reader, _)) = following else {
        return Ok(());
    };
    loop {
        loop {
            match reader.next() {
                Found::Batch(batch) => {
                    for event in batch.iter().filter(|event| asked.means(event)) {
                        let event = EventUpdate::Event(Box::new(event.clone()));
                        follower.tell(&event).await?;
                    }
                }
                Found::Missed(count) => follower.tell(&EventUpdate::Skipped(count)).await?,
                Found::Nothing => break,
            }
        }
        follower.wait(EventUpdate::Coverage).await?;
    }
}

/// Tells what is stored, oldest first; if `known` says up to which version of each node, nothing that
/// came later.
async fn tell_history<S: Read>(
    query: &Inner<S>,
    asked: &Asked,
    known: Option<&HashMap<NodeId, Version>>,
    follower: &mut Sink<S>,
) -> Result<(), Gone> {
    let mut known = known.cloned();
    let mut after = None;
    loop {
        let page = EventQuery {
            selection: asked.selection.clone(),
            kinds: asked.kinds.clone(),
            ascending: true,
            after,
            limit: PAGE,
        };
        let events = query.store.events(page).await.map_err(ask::unavailable)?;
        let is_last = u32::try_from(events.len()).is_ok_and(|count| count < PAGE);
        after = events.last().map(|(cursor, _)| *cursor);
        if let Some(known) = &mut known {
            learn(query, known, &events).await?;
        }
        let is_known = |cursor: &EventCursor| {
            let Some(known) = &known else { return true };
            let version = known.get(&cursor.node);
            version.is_some_and(|version| cursor.version <= *version)
        };
        for (_, event) in events.into_iter().filter(|(cursor, _)| is_known(cursor)) {
            follower.tell(&EventUpdate::Event(Box::new(event))).await?;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Learns up to which version events of nodes are history of which nothing was known when it began. Some are new:
/// none of theirs are. Some have been forgotten, so all of theirs are; or came back since, and all from before are.
async fn learn<S: Read>(
    query: &Inner<S>,
    known: &mut HashMap<NodeId, Version>,
    events: &[(EventCursor, NodeEvent)],
) -> Result<(), Gone> {
    let nodes = events.iter().map(|(cursor, _)| cursor.node);
    let nodes: Vec<_> = nodes.filter(|node| !known.contains_key(node)).collect();
    if nodes.is_empty() {
        return Ok(());
    }
    // Read after the events: a node that has some and is none of these was forgotten.
    let heads = query.store.heads().await.map_err(ask::unavailable)?;
    let began: HashMap<_, _> = heads.iter().map(|head| (head.node, head.began)).collect();
    for node in nodes {
        let all = Version(i64::MAX);
        known.insert(node, began.get(&node).copied().unwrap_or(all));
    }
    Ok(())
}
