//! What is known and not yet told: where the watching side and the sending side meet.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use archtrace_facts::aggregate::Table;
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Event, Loss};
use archtrace_facts::node::{Health, Preflight};
use archtrace_facts::report::{HandlerChange, Record};
use tokio::sync::Notify;

use crate::owners::Owners;
use crate::queue::Queue;
use crate::recent::Recent;

/// What both sides share. Locked for short pieces of work, never across an await.
#[derive(Debug)]
pub struct Contents<C> {
    /// The facts.
    pub table: Table<C>,
    /// Whose cgroups are, and images.
    pub owners: Owners,
    /// Events on their way; they come in by [`Contents::push_event`] and the like.
    pub events: Queue,
    /// What happened lately, whether or not the collector has it.
    pub recent: Recent,
    /// How well the node can be watched; where events are kept is added when it is told.
    pub preflight: Preflight,
    /// What the process uses.
    pub usage: Usage,
    /// When the watching side last looked at everything; `None` before the first time.
    pub looked: Option<Instant>,
    /// How the stream to a collector does.
    pub link: Link,
    /// How far the collector has the facts.
    pub(crate) told: Told,
}

/// What the process uses, as the watching side last measured it; 0 where nobody does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// CPU time since it started, in nanoseconds.
    pub cpu_ns: u64,
}

/// How the stream to a collector does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// A collector has welcomed this node, and the stream is open.
    pub connected: bool,
    /// Streams that were welcomed so far.
    pub streams: u64,
    /// Streams that ended otherwise than as planned, or never began.
    pub failures: u64,
    /// How often a collector asked for a snapshot.
    pub resyncs: u64,
    /// How often one asked for a pause.
    pub throttles: u64,
    /// When one last said that it has stored something.
    pub stored_at: Option<SystemTime>,
}

impl Link {
    /// A stream was welcomed.
    pub(crate) fn began(&mut self) {
        self.connected = true;
        self.streams += 1;
    }

    /// A stream ended, or did not come to be.
    pub(crate) fn ended(&mut self, as_planned: bool) {
        self.connected = false;
        self.failures += u64::from(!as_planned);
    }
}

/// How far the collector has the facts: revisions go on from one stream to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// Of the last update that was sent; 0 before the first.
    pub(crate) revision: u64,
    /// The collector has said that it holds this revision.
    pub(crate) settled: bool,
}

/// A handle on it.
#[derive(Debug)]
pub struct Outbox<C> {
    contents: Arc<Mutex<Contents<C>>>,
    changed: Arc<Notify>,
}

/// Facts of one node: 250 pods of 40 binaries, and room for the node's own.
const MAX_FACTS: usize = 16_384;

impl<C> Clone for Outbox<C> {
    fn clone(&self) -> Self {
        Self {
            contents: Arc::clone(&self.contents),
            changed: Arc::clone(&self.changed),
        }
    }
}

impl<C: Copy + Eq + Hash> Outbox<C> {
    /// An outbox that holds no facts yet, and the events of `events`.
    #[must_use]
    pub fn new(preflight: Preflight, events: Queue) -> Self {
        let contents = Contents {
            table: Table::new(MAX_FACTS),
            owners: Owners::default(),
            events,
            recent: Recent::default(),
            preflight,
            usage: Usage::default(),
            looked: None,
            link: Link::default(),
            told: Told::default(),
        };
        Self {
            contents: Arc::new(Mutex::new(contents)),
            changed: Arc::new(Notify::new()),
        }
    }

    /// The contents, until the guard is dropped.
    pub fn lock(&self) -> MutexGuard<'_, Contents<C>> {
        // A panic while it was held ends the agent anyway; until then the contents still add up.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the sending side that there is something new.
    pub fn notify(&self) {
        self.changed.notify_one();
    }

    /// Waits for [`Outbox::notify`].
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl<C: Copy + Eq + Hash> Contents<C> {
    /// Takes an event, or counts it as lost.
    pub fn push_event(&mut self, event: Event) {
        self.recent.note(|| Record::Event(event.clone()));
        self.events.push_event(event);
    }

    /// Takes a change of a handler, or counts it as lost.
    pub fn push_handler(&mut self, change: HandlerChange) {
        self.recent.note(|| Record::Handler(change.clone()));
        self.events.push_handler(change);
    }

    /// Takes a loss.
    pub fn push_loss(&mut self, loss: Loss) {
        self.recent.note_loss(&loss);
        self.events.push_loss(loss);
    }

    /// What the collector holds, if that is known: its revision and digest.
    #[must_use]
    pub fn held(&self) -> Option<(u64, Digest)> {
        let Told { revision, settled } = self.told;
        settled.then(|| (revision, self.table.digest()))
    }

    /// What the collector holds if the last update that was sent has arrived. Facts that were given up in
    /// it must not be told again if it has, and must be if it has not, so that the collector is asked.
    pub(crate) fn sent(&self) -> Option<(u64, Digest)> {
        let revision = self.told.revision;
        (revision > 0).then(|| (revision, self.table.digest()))
    }

    /// The collector holds all that was sent.
    pub(crate) fn confirm(&mut self) {
        self.told.settled = true;
        self.table.confirm();
        self.owners.confirm();
    }

    /// The preflight as it is told: with where events are kept, if that is not as it should be.
    #[must_use]
    pub fn report(&self) -> Preflight {
        let mut report = self.preflight.clone();
        report.missing.extend(self.events.missing());
        report
    }

    /// How the agent itself does.
    #[must_use]
    pub fn health(&self) -> Health {
        let Usage {
            resident_bytes,
            cpu_ns,
        } = self.usage;
        Health {
            resident_bytes,
            cpu_ns,
            queued_records: self.events.len(),
            spooled_bytes: self.events.spooled_bytes(),
            spool: self.events.kept(),
        }
    }

    /// Whether there are facts, owners or images that were not told.
    pub(crate) fn has_changes(&self) -> bool {
        self.table.has_changes() || self.owners.has_changes()
    }
}
