//! What died of an illegal instruction.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use archtrace_facts::fact::EventKind;
use archtrace_facts::fleet::{NodeEvent, NodeFact};
use archtrace_facts::gate::{Member, Report, Wanted, is_death, name};
use tonic::Status;

use super::super::stream::selection_since;
use super::super::{Inner, ask};
use super::nodes::Ask;
use crate::read::{EventQuery, Read};

/// Events read at once: some hundred kB.
const PAGE: u32 = 500;

/// How late an event may come in to be found by the next look; the last one looks at all.
const LATE: Duration = Duration::from_secs(60);

/// Node, stream and place in it: what tells an event from all others.
type Place = (String, String, u64, u64);

/// Deaths that count. Each kind is bounded by itself, so that none keeps another from being known.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    /// Since the watch began, of pods that are meant: as many as are told of, and one more.
    of_pods: BTreeMap<Place, NodeEvent>,
    /// Since the watch began, of pods that may be meant: as many.
    unnamed: BTreeMap<Place, NodeEvent>,
    /// The last one before the watch, of each pod that is still there: no more than pods.
    before: Vec<NodeEvent>,
    /// When the store was last looked at.
    looked: Option<SystemTime>,
}

impl Deaths {
    /// Looks for new ones: those of the last day that are known in memory, and what came in since the watch
    /// began.
    pub(super) async fn read<S: Read>(
        &mut self,
        query: &Inner<S>,
        wanted: &Wanted,
        facts: impl Iterator<Item = &NodeFact> + Send,
        since: SystemTime,
        which: Ask,
    ) -> Result<(), Status> {
        let live = query.live.loaded().await?;
        let recent = live.recent(query.alive_since()).await;
        let recent = recent.map_err(ask::unavailable)?;
        self.before = last_before(recent.events(), wanted, facts, since);
        for event in recent.events() {
            self.add(wanted, since, event);
        }
        let now = SystemTime::now();
        let before = self.looked.and_then(|looked| looked.checked_sub(LATE));
        let from = match (which, before) {
            (Ask::New, Some(before)) => before.max(since),
            (Ask::New | Ask::All, _) => since,
        };
        let mut after = None;
        loop {
            let page = EventQuery {
                selection: selection_since(wanted.selection(), from),
                kinds: vec![EventKind::IllegalInstruction.as_str().to_owned()],
                ascending: true,
                after,
                limit: PAGE,
            };
            let events = query.store.events(page).await.map_err(ask::unavailable)?;
            for (_, event) in &events {
                self.add(wanted, since, event);
            }
            after = events.last().map(|(cursor, _)| *cursor);
            if u32::try_from(events.len()).is_ok_and(|count| count < PAGE) {
                self.looked = Some(now);
                return Ok(());
            }
        }
    }

    fn add(&mut self, wanted: &Wanted, since: SystemTime, event: &NodeEvent) {
        if event.record.time() < since || !is_death(event) {
            return;
        }
        let place = (
            event.cluster.clone(),
            event.node.clone(),
            event.stream_id,
            event.sequence,
        );
        // Its names may have become known meanwhile; what was read before that may come once more.
        let known = match wanted.member(&event.cluster, &event.identity) {
            Member::Yes => {
                self.unnamed.remove(&place);
                &mut self.of_pods
            }
            Member::Unknown if self.of_pods.contains_key(&place) => return,
            Member::Unknown => &mut self.unnamed,
            Member::No => {
                self.unnamed.remove(&place);
                return;
            }
        };
        if known.len() <= Report::LISTED || known.contains_key(&place) {
            known.insert(place, event.clone());
        }
    }

    pub(super) fn all(&self) -> Vec<NodeEvent> {
        let new = self.of_pods.values().chain(self.unnamed.values());
        new.chain(&self.before).cloned().collect()
    }
}

/// What died before the watch counts only if its pod is among these facts. Of each pod one says as much
/// as all: a program that died in a loop for a day must not fill the answer.
fn last_before<'a, 'b>(
    newest_first: impl Iterator<Item = &'b NodeEvent>,
    wanted: &Wanted,
    facts: impl Iterator<Item = &'a NodeFact>,
    since: SystemTime,
) -> Vec<NodeEvent> {
    let is_meant = |cluster: &str, identity| wanted.member(cluster, identity) == Member::Yes;
    let mut pods: BTreeSet<_> = facts
        .filter(|fact| is_meant(&fact.cluster, &fact.identity))
        .map(|fact| name(&fact.cluster, &fact.identity))
        .collect();
    newest_first
        .filter(|event| event.record.time() < since && is_death(event))
        .filter(|event| is_meant(&event.cluster, &event.identity))
        .filter(|event| pods.remove(&name(&event.cluster, &event.identity)))
        .cloned()
        .collect()
}
