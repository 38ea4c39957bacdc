//! What died of an illegal instruction.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use archtrace_facts::fact::EventKind;
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::gate::{Member, Report, Wanted, is_death};
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

/// Deaths of pods that are meant, or may be; as many as are told of, and one more.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    known: BTreeMap<Place, NodeEvent>,
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
        since: SystemTime,
        which: Ask,
    ) -> Result<(), Status> {
        let facts = query.live.loaded().await?;
        let recent = facts.recent(query.alive_since()).await;
        for event in recent.map_err(ask::unavailable)?.events() {
            self.add(wanted, event);
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
                self.add(wanted, event);
            }
            after = events.last().map(|(cursor, _)| *cursor);
            if u32::try_from(events.len()).is_ok_and(|count| count < PAGE) {
                self.looked = Some(now);
                return Ok(());
            }
        }
    }

    fn add(&mut self, wanted: &Wanted, event: &NodeEvent) {
        let is_meant = wanted.member(&event.cluster, &event.identity) != Member::No;
        if !is_meant || !is_death(event) || self.known.len() > Report::LISTED {
            return;
        }
        let place = (
            event.cluster.clone(),
            event.node.clone(),
            event.stream_id,
            event.sequence,
        );
        // Its names may have become known meanwhile.
        self.known.insert(place, event.clone());
    }

    pub(super) fn all(&self) -> Vec<NodeEvent> {
        self.known.values().cloned().collect()
    }
}
