//! Events, images and nodes that show findings, as of some seconds ago: the live view does not have
//! them, and reading all of them takes longer than a question should.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::EventKind;
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::gate::is_death;
use archtrace_facts::identity::of_cgroup;
use archtrace_facts::matrix::Images;
use archtrace_facts::select::{Filter, Selection};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Findings;
use super::evidence::{self, About, Evidence};
use crate::read::{EventCursor, EventQuery, ImageQuery, NodeQuery, Read, StoreError};

/// How old it may be: images and nodes change rarely, and ten thousand nodes are read within a second.
const AGE: Duration = Duration::from_secs(30);

/// How far back events are findings.
pub(crate) const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// The newest of these events, of each kind: a program that dies in a loop is told of once a second.
const MAX_EVENTS: u32 = 5000;

/// How late an event may come in to be found by the next look; others are by the next look at all, after
/// [`LOOK_AT_ALL`].
const LATE: Duration = Duration::from_secs(600);
const LOOK_AT_ALL: Duration = Duration::from_secs(3600);

/// Nodes and images read at once: both may be large.
const PAGE: u32 = 200;

/// What was read last.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    recent: Mutex<Option<Arc<Recent>>>,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Recent {
    at: Instant,
    /// When all events were last looked at.
    all_at: Instant,
    events_until: SystemTime,
    events: Vec<Arc<NodeEvent>>,
    /// What images show, by the architecture of their nodes.
    images: Vec<(Vec<Arch>, Evidence)>,
    nodes: Vec<(Arch, Evidence)>,
    /// All images, as far as the matrix asks.
    variants: Images,
    unseen: Arc<Unseen>,
}

/// What agents do not see: the same as before, if nothing of it changed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Unseen {
    uncovered: Uncovered,
    blind: Blind,
}

/// By cluster and node, why agents may take what is not native for native.
type Blind = HashMap<(String, String), String>;

/// By cluster and node, the UIDs of pods in sandboxes of which nothing is seen, and what these are.
type Uncovered = HashMap<(String, String), HashMap<String, String>>;

impl Recent {
    /// Adds what the selection means.
    pub(crate) fn add(&self, selection: &Selection, findings: &mut Findings) {
        let events = self.events.iter();
        for event in events.filter(|event| selection.matches_event(event)) {
            if let Some(evidence) = evidence::of_event(event) {
                findings.add(evidence);
            }
        }
        let is_meant = |node_arch, evidence| {
            selection.matches(&About {
                evidence,
                node_arch,
            })
        };
        for (archs, evidence) in &self.images {
            if archs.iter().any(|arch| is_meant(*arch, evidence)) {
                findings.add(evidence.clone());
            }
        }
        for (arch, evidence) in &self.nodes {
            if is_meant(*arch, evidence) {
                findings.add(evidence.clone());
            }
        }
    }
}

impl Recent {
    /// Events that show findings, and all deaths of an illegal instruction; the newest first.
    pub(crate) fn events(&self) -> impl Iterator<Item = &NodeEvent> {
        self.events.iter().map(AsRef::as_ref)
    }

    /// All images.
    pub(crate) fn variants(&self) -> &Images {
        &self.variants
    }

    /// Of a node's pods those in sandboxes of which nothing is seen: UIDs, and which sandbox.
    pub(crate) fn uncovered(&self, cluster: &str, node: &str) -> Option<&HashMap<String, String>> {
        if self.unseen.uncovered.is_empty() {
            return None;
        }
        self.unseen
            .uncovered
            .get(&(cluster.to_owned(), node.to_owned()))
    }

    /// Why a node's agent may take what is not native for native, if it may.
    pub(crate) fn blind(&self, cluster: &str, node: &str) -> Option<&str> {
        if self.unseen.blind.is_empty() {
            return None;
        }
        let spots = self
            .unseen
            .blind
            .get(&(cluster.to_owned(), node.to_owned()));
        spots.map(String::as_str)
    }

    /// What of nodes is not seen, as a whole.
    pub(crate) fn unseen(&self) -> &Arc<Unseen> {
        &self.unseen
    }
}

impl Cache {
    /// What is there, if it is new enough; else it is read again, once for all who wait.
    pub(crate) async fn get<S: Read>(
        &self,
        store: &S,
        alive_since: SystemTime,
    ) -> Result<Arc<Recent>, StoreError> {
        let mut recent = self.recent.lock().await;
        if let Some(recent) = recent.as_ref().filter(|recent| recent.at.elapsed() < AGE) {
            return Ok(Arc::clone(recent));
        }
        let new = Arc::new(read(store, recent.as_deref(), alive_since).await?);
        *recent = Some(Arc::clone(&new));
        Ok(new)
    }

    /// Drops what is there, unless it is just being read.
    pub(crate) fn clear(&self) {
        if let Ok(mut recent) = self.recent.try_lock() {
            *recent = None;
        }
    }
}

async fn read<S: Read>(
    store: &S,
    before: Option<&Recent>,
    alive_since: SystemTime,
) -> Result<Recent, StoreError> {
    let (at, now) = (Instant::now(), SystemTime::now());
    let before = before.filter(|before| before.all_at.elapsed() < LOOK_AT_ALL);
    let oldest = now.checked_sub(WINDOW).unwrap_or(SystemTime::UNIX_EPOCH);
    let since = before.and_then(|before| before.events_until.checked_sub(LATE));
    let since = since.unwrap_or(oldest).max(oldest);
    let known = before.map_or(&[][..], |before| &before.events);
    let (images, variants) = read_images(store).await?;
    let (nodes, unseen) = read_nodes(store, alive_since).await?;
    let same = before.filter(|before| *before.unseen == unseen);
    let unseen = same.map_or_else(|| Arc::new(unseen), |before| Arc::clone(&before.unseen));
    Ok(Recent {
        at,
        all_at: before.map_or(at, |before| before.all_at),
        events_until: now,
        events: joined(read_events(store, since).await?, known, oldest),
        images,
        nodes,
        variants,
        unseen,
    })
}

/// The new ones and those known before, the newest first, each once and none too old.
fn joined(
    new: Vec<Arc<NodeEvent>>,
    known: &[Arc<NodeEvent>],
    oldest: SystemTime,
) -> Vec<Arc<NodeEvent>> {
    let mut places = HashSet::new();
    let mut events: Vec<_> = new.into_iter().chain(known.iter().cloned()).collect();
    events.retain(|event| {
        let place = (
            event.cluster.clone(),
            event.node.clone(),
            event.stream_id,
            event.sequence,
        );
        event.record.time() >= oldest && places.insert(place)
    });
    events.sort_by_key(|event| std::cmp::Reverse(event.record.time()));
    let (mut deaths, mut others) = (0, 0);
    events.retain(|event| {
        let death = EventKind::IllegalInstruction.as_str();
        let kept = if event.record.kind() == death {
            &mut deaths
        } else {
            &mut others
        };
        *kept += 1;
        *kept <= MAX_EVENTS
    });
    events
}

async fn read_events<S: Read>(
    store: &S,
    since: SystemTime,
) -> Result<Vec<Arc<NodeEvent>>, StoreError> {
    let events = troubles(store, Some(since), MAX_EVENTS).await?.into_iter();
    let events = events.map(|(_, event)| event);
    // A death whose instruction nobody could look at is no finding, but a death all the same.
    let events = events.filter(|event| evidence::id_of_event(event).is_some() || is_death(event));
    Ok(events.map(Arc::new).collect())
}

/// Illegal instructions and failed execs, the newest `most` of each.
pub(crate) async fn troubles<S: Read>(
    store: &S,
    since: Option<SystemTime>,
    most: u32,
) -> Result<Vec<(EventCursor, NodeEvent)>, StoreError> {
    let filter = Filter {
        since,
        ..Filter::default()
    };
    let mut read = Vec::new();
    // Apart: what is refused in a loop must not hide what died.
    for kind in [EventKind::IllegalInstruction, EventKind::FailedExec] {
        let query = EventQuery {
            selection: Selection {
                allow: vec![filter.clone()],
                ..Selection::default()
            },
            kinds: vec![kind.as_str().to_owned()],
            ascending: false,
            after: None,
            limit: most,
        };
        read.extend(store.events(query).await?);
    }
    Ok(read)
}

async fn read_images<S: Read>(
    store: &S,
) -> Result<(Vec<(Vec<Arch>, Evidence)>, Images), StoreError> {
    let (mut found, mut variants, mut after) = (Vec::new(), Images::default(), None);
    loop {
        let query = ImageQuery {
            after,
            limit: PAGE,
            ..ImageQuery::default()
        };
        let images = store.images(query).await?;
        for (cursor, image) in &images {
            let archs: Vec<_> = image.nodes.iter().map(|(arch, _)| *arch).collect();
            let evidence = evidence::of_image(image).into_iter();
            found.extend(evidence.map(|evidence| (archs.clone(), evidence)));
            variants.add(image);
            after = Some(*cursor);
        }
        if images.is_empty() {
            return Ok((found, variants));
        }
    }
}

async fn read_nodes<S: Read>(
    store: &S,
    alive_since: SystemTime,
) -> Result<(Vec<(Arch, Evidence)>, Unseen), StoreError> {
    let (mut found, mut unseen, mut after) = (Vec::new(), Unseen::default(), None);
    loop {
        let query = NodeQuery {
            names: Vec::new(),
            alive_since,
            after,
            limit: PAGE,
        };
        let nodes = store.nodes(query).await?;
        for (id, node) in &nodes {
            let evidence = evidence::of_node(node).into_iter();
            found.extend(evidence.map(|evidence| (node.info.arch, evidence)));
            let name = || (node.cluster.clone(), node.info.name.clone());
            let hidden = node.preflight.uncovered.iter();
            let hidden =
                hidden.map(|hidden| (of_cgroup(&hidden.cgroup).pod_uid, hidden.runtime.clone()));
            let hidden: HashMap<_, _> = hidden.filter(|(uid, _)| !uid.is_empty()).collect();
            if !hidden.is_empty() {
                unseen.uncovered.insert(name(), hidden);
            }
            let spots = node.preflight.blind_spots();
            if !spots.is_empty() {
                unseen.blind.insert(name(), spots.join(", and "));
            }
            after = Some(*id);
        }
        if nodes.is_empty() {
            return Ok((found, unseen));
        }
    }
}
