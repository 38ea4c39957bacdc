//! A store in memory, as an agent has one; it can be away on order, which a real one cannot.

mod asked;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{Event, EventKind, Fact, FactId, Mode};
use archtrace_facts::fleet::{FleetImage, NodeEvent, NodeFact, NodeState, NodeStatus, Totals};
use archtrace_facts::identity::Identity;
use archtrace_facts::node::{NodeInfo, Preflight};
use archtrace_facts::report::Record;
use archtrace_query::Read;
use archtrace_query::read::{
    EventCursor, EventQuery, FactChange, FactCursor, FactQuery, Head, ImageCursor, ImageQuery,
    NodeId, NodeQuery, StoreError, Version,
};

pub(crate) use asked::{Fixed, at, fact, query, query_of};

/// Nodes with facts and events.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    nodes: Mutex<Vec<Node>>,
    image: Mutex<Option<FleetImage>>,
    statuses: Mutex<Vec<(NodeId, NodeStatus)>>,
    away: AtomicBool,
    questions: AtomicU64,
}

#[derive(Debug)]
struct Node {
    head: Head,
    is_forgotten: bool,
    facts: BTreeMap<FactId, (Version, NodeFact)>,
    events: Vec<(Version, NodeEvent)>,
}

impl Memory {
    pub(crate) fn add_node(&self, name: &str) -> NodeId {
        let mut nodes = self.lock();
        let id = NodeId(nodes.len() as i64 + 1);
        let head = Head {
            node: id,
            cluster: "c".to_owned(),
            name: name.to_owned(),
            arch: Arch::Amd64,
            version: Version(1),
            began: Version::default(),
            last_heard: SystemTime::now(),
        };
        nodes.push(Node {
            head,
            is_forgotten: false,
            facts: BTreeMap::new(),
            events: Vec::new(),
        });
        id
    }

    /// One change: these facts are new or other ones.
    pub(crate) fn put(&self, node: NodeId, facts: Vec<(Fact, Identity)>) {
        let mut nodes = self.lock();
        let node = &mut nodes[node.0 as usize - 1];
        node.head.version.0 += 1;
        for (fact, identity) in facts {
            let id = fact.key.id();
            let fact = NodeFact {
                cluster: node.head.cluster.clone(),
                node: node.head.name.clone(),
                node_arch: node.head.arch,
                fact,
                identity,
                current: true,
                ended: false,
            };
            node.facts.insert(id, (node.head.version, fact));
        }
    }

    /// One change: the agent does not keep this fact any more.
    pub(crate) fn end(&self, node: NodeId, id: FactId) {
        let mut nodes = self.lock();
        let node = &mut nodes[node.0 as usize - 1];
        node.head.version.0 += 1;
        if let Some((version, fact)) = node.facts.get_mut(&id) {
            *version = node.head.version;
            fact.ended = true;
            fact.fact.processes = 0;
        }
    }

    /// One change: something happened at this second.
    pub(crate) fn happen(&self, node: NodeId, time: u64) {
        let event = Event {
            time: at(time),
            kind: EventKind::EmulatedExec,
            pid: 1,
            comm: "sh".to_owned(),
            key: fact("/app", Mode::Emulated, 1).key,
            errno: 0,
            count: 1,
            instruction: None,
        };
        self.tell(node, event, Identity::default());
    }

    /// One change: this happened.
    pub(crate) fn tell(&self, node: NodeId, event: Event, identity: Identity) {
        self.record(node, Record::Event(event), identity);
    }

    /// One change: the node's agent told of this.
    pub(crate) fn record(&self, node: NodeId, record: Record, identity: Identity) {
        let mut nodes = self.lock();
        let node = &mut nodes[node.0 as usize - 1];
        node.head.version.0 += 1;
        let event = NodeEvent {
            cluster: node.head.cluster.clone(),
            node: node.head.name.clone(),
            node_arch: node.head.arch,
            stream_id: 1,
            sequence: node.events.len() as u64,
            record,
            identity,
        };
        node.events.push((node.head.version, event));
    }

    /// It is no node any more; what happened stays.
    pub(crate) fn forget(&self, node: NodeId) {
        let node = &mut self.lock()[node.0 as usize - 1];
        node.head.version.0 += 1;
        (node.is_forgotten, node.head.began) = (true, node.head.version);
    }

    /// It is one again.
    pub(crate) fn come_back(&self, node: NodeId) {
        self.lock()[node.0 as usize - 1].is_forgotten = false;
    }

    /// The one image that there is.
    pub(crate) fn has_image(&self, image: FleetImage) {
        *self.image.lock().expect("no test panics meanwhile") = Some(image);
    }

    /// What the node's agent says of how well it sees.
    pub(crate) fn sees(&self, node: NodeId, preflight: Preflight) {
        let head = self.lock()[node.0 as usize - 1].head.clone();
        let status = NodeStatus {
            cluster: head.cluster,
            info: NodeInfo {
                page_size: 4096,
                ..NodeInfo::named(head.name, head.arch)
            },
            state: NodeState::Reporting,
            last_heard: Some(head.last_heard),
            attached_at: None,
            preflight,
            facts: 0,
            emulated_facts: 0,
            failed_facts: 0,
            emulated_processes: 0,
            losses: Vec::new(),
            health: None,
        };
        let mut statuses = self.statuses.lock().expect("no test panics meanwhile");
        statuses.push((node, status));
    }

    pub(crate) fn heard(&self, node: NodeId, at: SystemTime) {
        self.lock()[node.0 as usize - 1].head.last_heard = at;
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// How often it was asked what changed.
    pub(crate) fn questions(&self) -> u64 {
        self.questions.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Node>> {
        self.nodes.lock().expect("no test panics meanwhile")
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Away {
                store: "memory".into(),
                what: "answer",
                reason: Arc::new(std::io::Error::other("on order")),
            });
        }
        Ok(())
    }
}

/// Some order that never changes.
fn cursor(id: FactId) -> FactCursor {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&id.0[..8]);
    FactCursor(i64::from_le_bytes(bytes))
}

impl Read for Memory {
    async fn facts(&self, query: FactQuery) -> Result<Vec<(FactCursor, NodeFact)>, StoreError> {
        self.check()?;
        let nodes = self.lock();
        let facts = nodes.iter().flat_map(|node| {
            let current = node.head.last_heard >= query.alive_since;
            node.facts.iter().map(move |(id, (_, fact))| {
                let mut fact = fact.clone();
                fact.current = current;
                if !current {
                    fact.fact.processes = 0;
                }
                (cursor(*id), fact)
            })
        });
        let facts = facts.filter(|(_, fact)| query.history || !fact.ended);
        let facts = facts.filter(|(_, fact)| query.selection.matches_fact(fact));
        let mut facts: Vec<_> = facts.collect();
        facts.sort_unstable_by_key(|(cursor, _)| std::cmp::Reverse(*cursor));
        Ok(facts)
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<(EventCursor, NodeEvent)>, StoreError> {
        self.check()?;
        let nodes = self.lock();
        let mut rows: Vec<_> = nodes
            .iter()
            .flat_map(|node| {
                node.events.iter().map(|(version, event)| {
                    let time = event.record.time().duration_since(SystemTime::UNIX_EPOCH);
                    let cursor = EventCursor {
                        time: time.expect("after 1970").as_nanos() as i64,
                        node: node.head.node,
                        stream_id: event.stream_id,
                        sequence: event.sequence,
                        version: *version,
                    };
                    (cursor, event.clone())
                })
            })
            .filter(|(_, event)| query.selection.matches_event(event))
            .filter(|(_, event)| {
                let kind = event.record.kind();
                query.kinds.is_empty() || query.kinds.iter().any(|asked| asked == kind)
            })
            .collect();
        let place = |cursor: &EventCursor| (cursor.time, cursor.node, cursor.sequence);
        rows.sort_by_key(|(cursor, _)| place(cursor));
        if !query.ascending {
            rows.reverse();
        }
        if let Some(after) = query.after {
            rows.retain(|(cursor, _)| (place(cursor) > place(&after)) == query.ascending);
        }
        rows.truncate(query.limit as usize);
        Ok(rows)
    }

    async fn images(
        &self,
        query: ImageQuery,
    ) -> Result<Vec<(ImageCursor, FleetImage)>, StoreError> {
        self.check()?;
        let image = self.image.lock().expect("no test panics meanwhile");
        let image = image.clone().filter(|_| query.after.is_none());
        Ok(image
            .into_iter()
            .map(|image| (ImageCursor(1), image))
            .collect())
    }

    async fn nodes(&self, query: NodeQuery) -> Result<Vec<(NodeId, NodeStatus)>, StoreError> {
        self.check()?;
        let statuses = self.statuses.lock().expect("no test panics meanwhile");
        let (first, names) = (query.after.is_none(), &query.names);
        let is_asked = |name| first && (names.is_empty() || names.contains(name));
        let found = statuses
            .iter()
            .filter(|(_, known)| is_asked(&known.info.name));
        Ok(found.cloned().collect())
    }

    async fn totals(&self, _: SystemTime) -> Result<Totals, StoreError> {
        self.check()?;
        Ok(Totals::default())
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        self.check()?;
        let nodes = self.lock();
        let nodes = nodes.iter().filter(|node| !node.is_forgotten);
        Ok(nodes.map(|node| node.head.clone()).collect())
    }

    async fn facts_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> Result<Vec<FactChange>, StoreError> {
        self.check()?;
        let all = self.lock();
        let changes = nodes.into_iter().flat_map(|(id, since)| {
            let facts = &all[id.0 as usize - 1].facts;
            let facts = facts.iter().filter(move |(_, (version, fact))| {
                *version > since && (since.0 > 0 || !fact.ended)
            });
            facts.map(move |(fact_id, (version, fact))| FactChange {
                node: id,
                version: *version,
                id: *fact_id,
                cursor: cursor(*fact_id),
                fact: fact.clone(),
            })
        });
        Ok(changes.collect())
    }

    async fn events_since(
        &self,
        nodes: Vec<(NodeId, Version)>,
    ) -> Result<Vec<(NodeId, Version, NodeEvent)>, StoreError> {
        self.check()?;
        let all = self.lock();
        let events = nodes.into_iter().flat_map(|(id, since)| {
            let events = all[id.0 as usize - 1].events.iter();
            let events = events.filter(move |(version, _)| *version > since);
            events.map(move |(version, event)| (id, *version, event.clone()))
        });
        Ok(events.collect())
    }
}
