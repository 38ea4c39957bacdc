//! What the live view does not keep, and a policy asks for: labels, restarts, failed execs and deaths. Only labels that
//! an agent is known by, containers that were restarted, and what happened to agents of the policy, so that it stays
//! small however many facts there are.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::coverage::{Seen, Trouble};
use archtrace_facts::fact::{Event, EventKind, FactId};
use archtrace_facts::finding;
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::identity::{Identity, LastExit};
use archtrace_facts::policy::{Policy, Words};
use archtrace_facts::report::Record;
use archtrace_facts::select::{Subject as _, wildcard};

use crate::findings::recent::troubles;
use crate::live::table::Gone;
use crate::live::{NODES_AT_ONCE, Shared};
use crate::mandates::{Mandated, Mandates};
use crate::read::{FactChange, Head, NodeId, Read, StoreError, Version};

/// How far back events tell how it is with an agent.
pub(crate) const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Events of each kind that are looked at when a policy comes into force, the newest first; later ones as they
/// come.
const FIRST_EVENTS: u32 = 5000;

/// Different details until it is worth while to look for those that nothing has any more.
const TIDY_AFTER: usize = 1000;

/// Events that wait for the names of their pods: these come within seconds, or never.
const MOST_UNNAMED: usize = 1000;

/// What is known for a policy.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) mandated: Arc<Mandated>,
    details: Details,
    unnamed: Unnamed,
    /// By node and by the agent's place in the policy.
    happened: HashMap<(NodeId, usize), Happened>,
    changed: Changed,
}

/// Which nodes changed, so that only these are judged again.
#[derive(Debug, Default)]
struct Changed {
    /// Another one for each ledger: numbers begin anew.
    life: Arc<()>,
    last: u64,
    nodes: HashMap<NodeId, u64>,
}

impl Changed {
    fn has(&mut self, node: NodeId) {
        self.last += 1;
        self.nodes.insert(node, self.last);
    }
}

/// The last failed exec and the last death of an agent on a node.
#[derive(Debug, Default)]
struct Happened {
    refused: Option<NodeEvent>,
    died: Option<NodeEvent>,
}

/// What happened last in cgroups of which it is not known yet whose they are, by whether it was a death.
type Unnamed = HashMap<(NodeId, String, bool), NodeEvent>;

/// What identities say beyond what the live view keeps.
#[derive(Clone, Debug, Default)]
struct Details {
    /// Labels that some agent is known by, and patterns of their values: others are not kept.
    wanted: BTreeSet<(String, String)>,
    of: HashMap<(NodeId, FactId), Arc<Detail>>,
    known: HashSet<Arc<Detail>>,
}

/// Of one container.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Detail {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) attempt: u32,
    pub(crate) last_exit: Option<LastExit>,
}

/// Nothing is known beyond what the live view keeps.
static NOTHING: Detail = Detail {
    labels: BTreeMap::new(),
    attempt: 0,
    last_exit: None,
};

impl Ledger {
    /// Takes in a change of a fact, and what happened in its cgroup before anybody knew whose that is.
    pub(crate) fn take(&mut self, change: &FactChange) {
        self.details.take(change);
        self.changed.has(change.node);
        let identity = &change.fact.identity;
        if self.unnamed.is_empty() || !is_named(identity) {
            return;
        }
        let cgroup = &change.fact.fact.key.cgroup;
        for is_death in [false, true] {
            let place = (change.node, cgroup.clone(), is_death);
            if let Some(mut event) = self.unnamed.remove(&place) {
                event.identity = identity.clone();
                self.happened(change.node, &event);
            }
        }
    }

    /// Forgets facts of a node that is no more.
    pub(crate) fn forget(&mut self, gone: &Gone) {
        for fact in &gone.facts {
            self.details.of.remove(&(gone.id, *fact));
        }
        self.happened.retain(|(node, _), _| *node != gone.id);
        // Those of which nothing was heard have no number. What comes later gets one that is new.
        self.changed.nodes.remove(&gone.id);
        self.unnamed.retain(|(node, ..), _| *node != gone.id);
    }

    /// Takes in what happened, if it matters to an agent.
    pub(crate) fn happened(&mut self, node: NodeId, event: &NodeEvent) {
        let Record::Event(told) = &event.record else {
            return;
        };
        let is_death = match told.kind {
            EventKind::FailedExec => false,
            EventKind::IllegalInstruction => true,
            EventKind::EmulatedExec => return,
        };
        if finding::of_event(told).is_none() {
            return;
        }
        if !is_named(&event.identity) {
            let place = (node, told.key.cgroup.clone(), is_death);
            keep_newest(&mut self.unnamed, place, event);
        }
        let words = Words::of(|field| event.text(field), &event.identity.labels);
        self.changed.has(node);
        let agents = self.mandated.policy.agents.iter().enumerate();
        for (i, _) in agents.filter(|(_, agent)| agent.matches.holds(&words)) {
            let happened = self.happened.entry((node, i)).or_default();
            let last = if is_death {
                &mut happened.died
            } else {
                &mut happened.refused
            };
            let known = last.as_ref().map(|last| last.record.time());
            if known.is_none_or(|known| known <= told.time) {
                let mut event = event.clone();
                event.identity.labels.clear();
                *last = Some(event);
            }
        }
    }

    /// Stands for this ledger, for as long as somebody keeps it.
    pub(crate) fn life(&self) -> &Arc<()> {
        &self.changed.life
    }

    /// Another number whenever something changed of the node.
    pub(crate) fn stamp(&self, node: NodeId) -> u64 {
        self.changed.nodes.get(&node).copied().unwrap_or(0)
    }

    /// What is known of a fact's container.
    pub(crate) fn detail(&self, node: NodeId, fact: FactId) -> &Detail {
        let detail = self.details.of.get(&(node, fact));
        detail.map_or(&NOTHING, |detail| detail)
    }

    /// What happened of late to the agent at this place of the policy.
    pub(crate) fn troubles(
        &self,
        node: NodeId,
        agent: usize,
        now: SystemTime,
    ) -> impl Iterator<Item = Trouble<'_>> {
        let happened = self.happened.get(&(node, agent)).into_iter();
        let events = happened.flat_map(|happened| [&happened.refused, &happened.died]);
        let late = events
            .flatten()
            .filter(move |event| event.record.time() + WINDOW >= now);
        late.filter_map(|event| match &event.record {
            Record::Event(told) => Some(trouble(told, &event.identity)),
            Record::Loss(_) | Record::Handler(_) => None,
        })
    }
}

/// Whether it is known whose it is. What a pod belongs to is known as soon as its labels are.
fn is_named(identity: &Identity) -> bool {
    !identity.workload.is_empty() || !identity.unit.is_empty()
}

/// Where there are too many, those that have waited longest are given up.
fn keep_newest(unnamed: &mut Unnamed, place: (NodeId, String, bool), event: &NodeEvent) {
    let known = unnamed.get(&place);
    if known.is_some_and(|known| known.record.time() > event.record.time()) {
        return;
    }
    if known.is_none() && unnamed.len() >= MOST_UNNAMED {
        let oldest = unnamed.iter().min_by_key(|(_, event)| event.record.time());
        let oldest = oldest.map(|(place, _)| place.clone());
        oldest.map(|place| unnamed.remove(&place));
    }
    unnamed.insert(place, event.clone());
}

fn trouble<'a>(event: &'a Event, identity: &'a Identity) -> Trouble<'a> {
    Trouble {
        seen: Seen {
            arch: Some(event.key.arch),
            mode: Some(event.key.mode),
            cause: event.key.cause,
            via: event.key.via,
            processes: 0,
            first_seen: Some(event.time),
            last_seen: Some(event.time),
            binary: &event.key.binary,
            emulator: event.key.emulator.as_deref().unwrap_or_default(),
            namespace: &identity.namespace,
            pod: &identity.pod,
            container: &identity.container,
            workload: &identity.workload,
            unit: &identity.unit,
            image: &identity.image,
            image_id: &identity.image_id,
            attempt: identity.attempt,
            last_exit: identity.last_exit.as_ref(),
        },
        instruction: event.instruction.as_ref(),
    }
}

impl Details {
    fn new(policy: &Policy) -> Self {
        Self {
            wanted: wanted(policy),
            ..Self::default()
        }
    }

    fn take(&mut self, change: &FactChange) {
        let at = (change.node, change.id);
        let detail = Detail::of(&change.fact.identity, &self.wanted);
        if change.fact.ended || detail == NOTHING {
            self.of.remove(&at);
            return;
        }
        let detail = match self.known.get(&detail) {
            Some(known) => Arc::clone(known),
            None => {
                if self.known.len() > TIDY_AFTER.max(self.of.len() / 2) {
                    self.known.retain(|known| Arc::strong_count(known) > 1);
                }
                let detail = Arc::new(detail);
                self.known.insert(Arc::clone(&detail));
                detail
            }
        };
        self.of.insert(at, detail);
    }
}

fn wanted(policy: &Policy) -> BTreeSet<(String, String)> {
    let labels = policy.agents.iter().flat_map(|agent| &agent.matches.labels);
    labels
        .map(|(key, pattern)| (key.clone(), pattern.clone()))
        .collect()
}

impl Detail {
    fn of(identity: &Identity, wanted: &BTreeSet<(String, String)>) -> Self {
        let label = |(key, pattern): &(String, String)| {
            let value = identity.labels.get(key)?;
            wildcard(pattern, value).then(|| (key.clone(), value.clone()))
        };
        // A container that never ended has no exit of its own: what is told then is its predecessor's.
        let has_restarted = identity.attempt > 0;
        Self {
            labels: wanted.iter().filter_map(label).collect(),
            attempt: identity.attempt,
            last_exit: identity.last_exit.clone().filter(|_| has_restarted),
        }
    }
}

/// Brings the ledger to the policy that holds now. Called before facts and events of these heads are read, so
/// that none of them is missed. Until another policy's is complete, the one before it holds.
pub(crate) async fn prepare<S: Read>(shared: &Shared<S>, heads: &[Head]) -> Result<(), StoreError> {
    let Mandates::Of(policies) = &shared.mandates else {
        return Ok(());
    };
    let mandated = policies.policy();
    let (is_current, known) = {
        let ledger = shared.ledger();
        let is_current = |ledger: &Ledger| Arc::ptr_eq(&ledger.mandated, &mandated);
        let wanted = wanted(&mandated.policy);
        let reused = |ledger: &&Ledger| ledger.details.wanted.is_superset(&wanted);
        let known = ledger.as_ref().filter(reused);
        (
            ledger.as_ref().is_some_and(is_current),
            known.map(|ledger| ledger.details.clone()),
        )
    };
    if is_current {
        return Ok(());
    }
    let is_first = shared.ledger().is_none();
    let details = match known {
        Some(details) => details,
        // Facts that are read for the first time are taken in as they come.
        None if is_first && shared.table().nodes.is_empty() => Details::new(&mandated.policy),
        None => read_details(shared, heads, &mandated.policy).await?,
    };
    let mut ledger = Ledger {
        mandated,
        details,
        unnamed: HashMap::new(),
        happened: HashMap::new(),
        changed: Changed::default(),
    };
    for (node, event) in read_events(shared.store()).await? {
        ledger.happened(node, &event);
    }
    if is_first {
        // What came in before was just read.
        shared.events_are_known(heads);
    }
    shared.set_ledger(ledger);
    Ok(())
}

async fn read_details<S: Read>(
    shared: &Shared<S>,
    heads: &[Head],
    policy: &Policy,
) -> Result<Details, StoreError> {
    let mut details = Details::new(policy);
    for heads in heads.chunks(NODES_AT_ONCE) {
        let nodes = heads.iter().map(|head| (head.node, Version::default()));
        for change in shared.store().facts_since(nodes.collect()).await? {
            details.take(&change);
        }
    }
    Ok(details)
}

async fn read_events<S: Read>(store: &S) -> Result<Vec<(NodeId, NodeEvent)>, StoreError> {
    let since = SystemTime::now().checked_sub(WINDOW);
    let events = troubles(store, since, FIRST_EVENTS).await?.into_iter();
    Ok(events.map(|(cursor, event)| (cursor.node, event)).collect())
}
