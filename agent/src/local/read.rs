//! Questions to the mirror.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use archtrace_facts::fact::Mode;
use archtrace_facts::fleet::{FleetImage, NodeEvent, NodeFact, NodeState, NodeStatus, Totals};
use archtrace_query::Read;
use archtrace_query::read::{
    Answer, EventCursor, EventQuery, FactChange, FactCursor, FactQuery, Head, ImageCursor,
    ImageQuery, NodeId, NodeQuery, StoreError, Version,
};
use archtrace_sink::Outbox;

use super::About;
use super::mirror::{Known, Mirror, Noted, Numbers};

/// The only node there is.
const NODE: NodeId = NodeId(1);

/// Events and losses of this socket are numbered on their own: whoever answers has stream 0.
const STREAM: u64 = 0;

/// This node, for whoever asks.
#[derive(Debug)]
pub(super) struct Node<C> {
    about: About,
    outbox: Outbox<C>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    numbers: Numbers,
    mirror: Option<Box<Mirror>>,
    used: Option<Instant>,
}

impl<C> Node<C> {
    pub(super) fn new(about: About, outbox: Outbox<C>) -> Self {
        Self {
            about,
            outbox,
            state: Mutex::default(),
        }
    }

    /// Drops the mirror if nobody has asked for so long.
    pub(super) fn tidy(&self, idle: Duration) {
        let mut state = self.state();
        if state.used.is_some_and(|used| used.elapsed() > idle) {
            state.mirror = None;
            state.used = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Copy + Eq + Hash + Send + 'static> Node<C> {
    /// Asks the mirror, as it is now.
    fn ask<T>(&self, question: impl FnOnce(&Mirror) -> T) -> T {
        let mut state = self.state();
        let state = &mut *state;
        state.used = Some(Instant::now());
        let numbers = state.numbers;
        let mirror = state
            .mirror
            .get_or_insert_with(|| Box::new(Mirror::new(numbers)));
        mirror.refresh(&self.outbox);
        state.numbers = mirror.numbers;
        question(mirror)
    }

    fn fact(&self, known: &Known) -> NodeFact {
        NodeFact {
            cluster: self.about.cluster.clone(),
            node: self.about.node.name.clone(),
            node_arch: self.about.node.arch,
            fact: known.fact.clone(),
            identity: known.identity.as_ref().clone(),
            current: true,
            ended: known.ended,
        }
    }

    fn event(&self, noted: &Noted) -> NodeEvent {
        NodeEvent {
            cluster: self.about.cluster.clone(),
            node: self.about.node.name.clone(),
            node_arch: self.about.node.arch,
            stream_id: STREAM,
            sequence: noted.number,
            record: noted.record.clone(),
            identity: noted.identity.as_ref().clone(),
        }
    }

    fn list_facts(&self, query: &FactQuery) -> Result<Vec<(FactCursor, NodeFact)>, StoreError> {
        let FactQuery {
            selection,
            running,
            history,
            alive_since: _,
            after,
            limit,
        } = query;
        self.ask(|mirror| {
            if after.is_some_and(|after| after.0 < mirror.first_place) {
                return Err(too_late());
            }
            let before = after.map_or(i64::MAX, |after| after.0);
            let facts = mirror.order.range(..before).rev();
            let facts = facts.filter_map(|(place, id)| {
                let known = mirror.facts.get(id)?;
                let meant = (*history || !known.ended) && (!running || known.fact.processes > 0);
                meant.then(|| (FactCursor(*place), self.fact(known)))
            });
            let meant = facts.filter(|(_, fact)| selection.matches_fact(fact));
            Ok(meant.take(many(*limit)).collect())
        })
    }

    fn list_events(&self, query: &EventQuery) -> Vec<(EventCursor, NodeEvent)> {
        let EventQuery {
            selection,
            kinds,
            ascending,
            after,
            limit,
        } = query;
        let mut events: Vec<_> = self.ask(|mirror| {
            let records = mirror.records.iter().filter(|noted| {
                kinds.is_empty() || kinds.iter().any(|kind| kind == noted.record.kind())
            });
            records
                .map(|noted| (cursor(noted), self.event(noted)))
                .collect()
        });
        let place = |cursor: &EventCursor| (cursor.time, cursor.sequence);
        events.retain(|(cursor, event)| {
            let is_behind = after.as_ref().is_none_or(|after| {
                if *ascending {
                    place(cursor) > place(after)
                } else {
                    place(cursor) < place(after)
                }
            });
            is_behind && selection.matches_event(event)
        });
        events.sort_by_key(|(cursor, _)| place(cursor));
        if !ascending {
            events.reverse();
        }
        events.truncate(many(*limit));
        events
    }

    fn list_images(
        &self,
        query: &ImageQuery,
    ) -> Result<Vec<(ImageCursor, FleetImage)>, StoreError> {
        let ImageQuery {
            nodes,
            names,
            after,
            limit,
        } = query;
        if !nodes.is_empty() && !nodes.contains(&self.about.node.name) {
            return Ok(Vec::new());
        }
        let last_seen = SystemTime::now();
        self.ask(|mirror| {
            if after.is_some_and(|after| after.0 < mirror.first_place) {
                return Err(too_late());
            }
            let before = after.map_or(i64::MAX, |after| after.0);
            let images = mirror.images.range(..before).rev();
            let images = images.filter(|(_, image)| {
                let has = |wanted: &String| image.names.iter().any(|name| name.contains(wanted));
                names.is_empty() || names.iter().any(has)
            });
            let found = images.take(many(*limit)).map(|(place, image)| {
                let image = FleetImage {
                    image: image.clone(),
                    nodes: vec![(self.about.node.arch, 1)],
                    last_seen,
                    registry: Vec::new(),
                };
                (ImageCursor(*place), image)
            });
            Ok(found.collect())
        })
    }

    fn status(&self) -> NodeStatus {
        let totals = self.sums();
        let alive = self.ask(|mirror| {
            let emulated = mirror.facts.values();
            let emulated = emulated.filter(|known| known.fact.key.mode == Mode::Emulated);
            emulated.map(|known| known.fact.processes).sum()
        });
        let (preflight, health) = {
            let contents = self.outbox.lock();
            (contents.report(), contents.health())
        };
        NodeStatus {
            cluster: self.about.cluster.clone(),
            info: self.about.node.clone(),
            state: NodeState::Reporting,
            last_heard: Some(SystemTime::now()),
            attached_at: Some(self.about.attached_at),
            preflight,
            facts: totals.facts,
            emulated_facts: totals.emulated_facts,
            failed_facts: totals.failed_facts,
            emulated_processes: alive,
            losses: totals.losses,
            health: Some(health),
        }
    }

    fn sums(&self) -> Totals {
        let (events, losses) = {
            let contents = self.outbox.lock();
            (contents.recent.count(), contents.recent.losses())
        };
        self.ask(|mirror| {
            let of = |mode| {
                let facts = mirror.facts.values();
                facts.filter(|known| known.fact.key.mode == mode).count() as u64
            };
            Totals {
                bytes: 0,
                nodes_reporting: 1,
                nodes_stale: 0,
                facts: mirror.facts.len() as u64,
                emulated_facts: of(Mode::Emulated),
                failed_facts: of(Mode::Failed),
                events,
                unexplained_gap: 0,
                losses,
            }
        })
    }

    fn changes(&self, nodes: &[(NodeId, Version)]) -> Vec<FactChange> {
        let Some(since) = since(nodes) else {
            return Vec::new();
        };
        self.ask(|mirror| {
            let facts = mirror
                .facts
                .iter()
                .filter(|(_, known)| known.version > since && (since > 0 || !known.ended));
            let mut changes: Vec<_> = facts
                .map(|(id, known)| FactChange {
                    node: NODE,
                    version: Version(known.version),
                    id: *id,
                    cursor: FactCursor(known.place),
                    fact: self.fact(known),
                })
                .collect();
            changes.sort_unstable_by_key(|change| (change.version, change.id));
            changes
        })
    }
}

impl<C: Copy + Eq + Hash + Send + 'static> Read for Node<C> {
    fn facts(&self, query: FactQuery) -> impl Answer<Vec<(FactCursor, NodeFact)>> {
        async move { self.list_facts(&query) }
    }

    fn events(&self, query: EventQuery) -> impl Answer<Vec<(EventCursor, NodeEvent)>> {
        async move { Ok(self.list_events(&query)) }
    }

    fn images(&self, query: ImageQuery) -> impl Answer<Vec<(ImageCursor, FleetImage)>> {
        async move { self.list_images(&query) }
    }

    fn nodes(&self, query: NodeQuery) -> impl Answer<Vec<(NodeId, NodeStatus)>> {
        async move {
            let NodeQuery { names, after, .. } = query;
            let is_meant = after.is_none_or(|after| after < NODE)
                && (names.is_empty() || names.contains(&self.about.node.name));
            Ok(is_meant
                .then(|| (NODE, self.status()))
                .into_iter()
                .collect())
        }
    }

    fn totals(&self, _: SystemTime) -> impl Answer<Totals> {
        async move { Ok(self.sums()) }
    }

    fn heads(&self) -> impl Answer<Vec<Head>> {
        async move {
            let version = Version(self.ask(|mirror| mirror.numbers.version));
            Ok(vec![Head {
                node: NODE,
                cluster: self.about.cluster.clone(),
                name: self.about.node.name.clone(),
                arch: self.about.node.arch,
                version,
                began: Version::default(),
                last_heard: SystemTime::now(),
            }])
        }
    }

    fn facts_since(&self, nodes: Vec<(NodeId, Version)>) -> impl Answer<Vec<FactChange>> {
        async move { Ok(self.changes(&nodes)) }
    }

    fn events_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> impl Answer<Vec<(NodeId, Version, NodeEvent)>> {
        async move {
            let Some(since) = since(&nodes) else {
                return Ok(Vec::new());
            };
            Ok(self.ask(|mirror| {
                let records = mirror.records.iter().filter(|noted| noted.version > since);
                records
                    .map(|noted| (NODE, Version(noted.version), self.event(noted)))
                    .collect()
            }))
        }
    }
}

fn since(nodes: &[(NodeId, Version)]) -> Option<i64> {
    let asked = nodes.iter().find(|(node, _)| *node == NODE);
    asked.map(|(_, version)| version.0)
}

fn cursor(noted: &Noted) -> EventCursor {
    let since_1970 = noted.record.time().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = since_1970.unwrap_or_default().as_nanos();
    EventCursor {
        time: i64::try_from(nanos).unwrap_or(i64::MAX),
        node: NODE,
        stream_id: STREAM,
        sequence: noted.number,
        version: Version(noted.version),
    }
}

fn many(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// A page that is asked for when the copy that it is of was dropped.
fn too_late() -> StoreError {
    StoreError::Failed {
        store: Arc::from("agent"),
        what: "go on with a listing",
        reason: Arc::from(Box::from(
            "its first pages were read too long ago; begin again",
        )),
    }
}
