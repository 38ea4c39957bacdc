//! What somebody who keeps facts and events has to be able to tell.
//!
//! Times are given by the caller: whoever keeps things does not look at clocks.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::cost::{CostDimension, CostPart, Span};
use archtrace_facts::coverage::{Past, Place, Standing};
use archtrace_facts::fact::FactId;
use archtrace_facts::fleet::{FleetImage, NodeEvent, NodeFact, NodeStatus, Totals};
use archtrace_facts::select::Selection;

/// Keeps facts and events, and tells of them.
pub trait Read: Send + Sync + 'static {
    /// Facts, newest first by when they were first stored: an order that never changes.
    fn facts(&self, query: FactQuery) -> impl Answer<Vec<(FactCursor, NodeFact)>>;

    /// Events, losses and changes of handlers, newest first, or oldest first.
    fn events(&self, query: EventQuery) -> impl Answer<Vec<(EventCursor, NodeEvent)>>;

    /// Images, newest first by when they were first stored.
    fn images(&self, query: ImageQuery) -> impl Answer<Vec<(ImageCursor, FleetImage)>>;

    /// Nodes that ever reported, in the order in which they first did.
    fn nodes(&self, query: NodeQuery) -> impl Answer<Vec<(NodeId, NodeStatus)>>;

    /// Sums over everything. Nodes that were heard since `alive_since` are reporting.
    fn totals(&self, alive_since: SystemTime) -> impl Answer<Totals>;

    /// Every node that ever reported, and how far its changes are.
    fn heads(&self) -> impl Answer<Vec<Head>>;

    /// Facts of these nodes that changed after the version given for each, in the order of versions.
    /// A node of which nothing was seen starts from 0: then what its agent keeps now is told and
    /// nothing else.
    ///
    /// Whoever follows changes keeps one version per node. One number for all would not do: with
    /// several writers at once, a lower one may be committed after a higher one was read.
    fn facts_since(&self, nodes: Vec<(NodeId, Version)>) -> impl Answer<Vec<FactChange>>;

    /// Events, losses and changes of handlers of these nodes that came in after the version given for
    /// each, in the order of versions and sequences.
    fn events_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> impl Answer<Vec<(NodeId, Version, NodeEvent)>>;

    /// How it is noted with each of these agents on its node, in their order; `None` where nothing is. Who
    /// knows of no policy notes nothing.
    fn standings(&self, places: Vec<Place>) -> impl Answer<Vec<Option<Standing>>> {
        async move { Ok(vec![None; places.len()]) }
    }

    /// What it was before with each of them, the newest first, [`Past::MOST`] at most; in their order.
    fn past_standings(&self, places: Vec<Place>) -> impl Answer<Vec<Vec<Past>>> {
        async move { Ok(vec![Vec::new(); places.len()]) }
    }

    /// Of these nodes, events, losses and changes of handlers that come after the place given for each, in
    /// the order of nodes and places; at most `limit`. For whoever must not hold more than that in memory;
    /// who keeps many events finds no more than these.
    fn events_after(
        &self,
        nodes: Vec<(NodeId, EventPlace)>,
        limit: u32,
    ) -> impl Answer<Vec<(NodeId, EventPlace, NodeEvent)>> {
        async move {
            let places: HashMap<_, _> = nodes.iter().copied().collect();
            let since = nodes.iter().map(|(node, place)| {
                // The version itself may not be told as a whole.
                (*node, Version(place.version.0.saturating_sub(1)))
            });
            let events = self.events_since(since.collect()).await?;
            let events = events.into_iter().map(|(node, version, event)| {
                let place = EventPlace::of(version, &event);
                (node, place, event)
            });
            let is_new = |(node, place, _): &(NodeId, EventPlace, NodeEvent)| {
                places.get(node).is_none_or(|known| place > known)
            };
            let mut events: Vec<_> = events.filter(is_new).collect();
            events.sort_by_key(|(node, place, _)| (*node, *place));
            events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(events)
        }
    }

    /// CPU time that emulation used, the largest sums first; `None` from whoever does not keep it, as an
    /// agent does not.
    fn cost(&self, query: CostQuery) -> impl Answer<Option<Vec<CostPart>>> {
        let _ = query;
        async { Ok(None) }
    }
}

/// What the methods return.
pub trait Answer<T>: Future<Output = Result<T, StoreError>> + Send {}

impl<T, F: Future<Output = Result<T, StoreError>> + Send> Answer<T> for F {}

/// A node within one store. Higher ones came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub i64);

/// How many changes of a node were committed: one is added by each. Changes of one node are made one
/// after the other, so that nobody who saw a version finds a lower one committed later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub i64);

/// The place of an event among all of its node, in the order of their coming in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventPlace {
    /// Which change of the node's brought it.
    pub version: Version,
    /// In which stream.
    pub stream_id: u64,
    /// Where in the stream.
    pub sequence: u64,
}

impl EventPlace {
    /// That of an event which this version brought.
    #[must_use]
    pub fn of(version: Version, event: &NodeEvent) -> Self {
        Self {
            version,
            stream_id: event.stream_id,
            sequence: event.sequence,
        }
    }

    /// Behind all that this version and those before it brought.
    #[must_use]
    pub fn behind(version: Version) -> Self {
        Self {
            version,
            stream_id: i64::MAX.unsigned_abs(),
            sequence: u64::MAX,
        }
    }
}

/// Streams are ordered as signed numbers: stores know no others.
impl Ord for EventPlace {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |place: &Self| (place.version, place.stream_id.cast_signed(), place.sequence);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for EventPlace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A node, as far as whoever follows changes has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The node.
    pub node: NodeId,
    /// Cluster of the node; may be empty.
    pub cluster: String,
    /// Name of the node.
    pub name: String,
    /// Instruction set of the node.
    pub arch: Arch,
    /// How far its changes are.
    pub version: Version,
    /// Changes up to this one are of a life before: the node was forgotten then, and came back.
    pub began: Version,
    /// When its agent was heard last.
    pub last_heard: SystemTime,
}

/// A change of a fact.
#[derive(Clone, Debug, PartialEq)]
pub struct FactChange {
    /// Whose.
    pub node: NodeId,
    /// Which change of the node's it was part of.
    pub version: Version,
    /// The fact's name within its node.
    pub id: FactId,
    /// Its position in the order of [`Read::facts`], which never changes.
    pub cursor: FactCursor,
    /// The fact as it is now; [`NodeFact::ended`] if its agent does not keep it any more.
    /// [`NodeFact::current`] is not decided here, and true.
    pub fact: NodeFact,
}

/// Which facts.
#[derive(Clone, Debug, PartialEq)]
pub struct FactQuery {
    /// Conditions; `since` is about `last_seen`.
    pub selection: Selection,
    /// Only facts with processes alive.
    pub running: bool,
    /// Also facts that no agent keeps any more.
    pub history: bool,
    /// Nodes heard since then are current; facts of others have no processes.
    pub alive_since: SystemTime,
    /// Only what comes after this one.
    pub after: Option<FactCursor>,
    /// At most this many.
    pub limit: u32,
}

/// Position of a fact in the order of [`Read::facts`]: higher ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactCursor(pub i64);

/// Which images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageQuery {
    /// Only those of containers on these nodes; of all if empty.
    pub nodes: Vec<String>,
    /// Only those of which a name contains one of these; all if empty.
    pub names: Vec<String>,
    /// Only what comes after this one.
    pub after: Option<ImageCursor>,
    /// At most this many.
    pub limit: u32,
}

/// Position of an image in the order of [`Read::images`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageCursor(pub i64);

/// Which events, losses and changes of handlers.
#[derive(Clone, Debug, PartialEq)]
pub struct EventQuery {
    /// Conditions; those on names and modes leave losses and changes of handlers out, and those on
    /// architectures losses.
    pub selection: Selection,
    /// Words of [`archtrace_facts::report::Record::kind`]; all if empty.
    pub kinds: Vec<String>,
    /// Oldest first.
    pub ascending: bool,
    /// Only what comes after this one, in the order asked for.
    pub after: Option<EventCursor>,
    /// At most this many.
    pub limit: u32,
}

/// Position of an event in the order of [`Read::events`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventCursor {
    /// Nanoseconds since 1970.
    pub time: i64,
    /// Whose.
    pub node: NodeId,
    /// Which of its streams.
    pub stream_id: u64,
    /// Where in the stream.
    pub sequence: u64,
    /// Which change of the node's brought it. No part of the order, and of no meaning in
    /// [`EventQuery::after`]: whoever lists what was and then follows what comes tells both apart by it.
    pub version: Version,
}

/// Which CPU time, and how it is summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostQuery {
    /// One sum for each combination, and for each kind of machine.
    pub by: Vec<CostDimension>,
    /// When it was used.
    pub span: Span,
    /// Names of clusters; of these and those below one has to match, all do if there is none. `*` stands
    /// for any characters.
    pub clusters: Vec<String>,
    /// Names of nodes.
    pub nodes: Vec<String>,
    /// Namespaces.
    pub namespaces: Vec<String>,
    /// Workloads, as [`CostDimension::Workload`] tells them.
    pub workloads: Vec<String>,
    /// At most this many sums.
    pub limit: u32,
}

/// Which nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeQuery {
    /// Their names; all if empty.
    pub names: Vec<String>,
    /// Nodes heard since then are reporting.
    pub alive_since: SystemTime,
    /// Only what comes after this one.
    pub after: Option<NodeId>,
    /// At most this many.
    pub limit: u32,
}

/// Why a store did not do what it was asked to. It can be shared: a commit answers many callers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be used at all.
    #[error("cannot open the store {store}: {reason}; {hint}")]
    Open {
        /// As the option named it, without secrets.
        store: String,
        /// What went wrong.
        reason: Arc<dyn Error + Send + Sync>,
        /// What to do next.
        hint: &'static str,
    },
    /// It cannot be reached or written to at the moment: trying again may help.
    #[error("the store {store} cannot {what} at the moment: {reason}")]
    Away {
        /// As the option named it, without secrets.
        store: Arc<str>,
        /// Which operation.
        what: &'static str,
        /// What went wrong.
        reason: Arc<dyn Error + Send + Sync>,
    },
    /// It refused this operation.
    #[error("the store {store} failed to {what}: {reason}")]
    Failed {
        /// As the option named it, without secrets.
        store: Arc<str>,
        /// Which operation.
        what: &'static str,
        /// What went wrong.
        reason: Arc<dyn Error + Send + Sync>,
    },
    /// Its writer ended, so nothing can be committed any more.
    #[error("the writer of the store {0} has ended")]
    Closed(Arc<str>),
}

impl StoreError {
    /// Why an operation was not done: [`StoreError::Away`] if trying again may help, else
    /// [`StoreError::Failed`].
    #[must_use]
    pub fn of(
        store: Arc<str>,
        what: &'static str,
        reason: Arc<dyn Error + Send + Sync>,
        may_pass: bool,
    ) -> Self {
        if may_pass {
            return Self::Away {
                store,
                what,
                reason,
            };
        }
        Self::Failed {
            store,
            what,
            reason,
        }
    }
}
