//! What agents keep now, in memory, and what changes: for sums, findings and those who follow.
//!
//! A task asks the store several times a second which nodes changed (`Read::heads`) and for their
//! changes. So this works the same with several collectors over one store, and it is behind the store by
//! [`INTERVAL`] and what reading takes.
//!
//! | module | what |
//! |---|---|
//! | [`table`] | the facts, compact |
//! | [`texts`] | their texts, each once |
//! | [`whole`] | those that are not native, as they are told |
//! | [`summary`] | sums over them |
//! | [`log`] | what changed lately |
//! | [`growth`] | how facts grow, for whoever counts it |
//! | `start` | where those who follow begin |
//! | `poll` | the task |

pub(crate) mod growth;
mod log;
mod poll;
mod start;
pub(crate) mod summary;
pub(crate) mod table;
mod texts;
mod whole;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use archtrace_facts::fleet::{Coverage, ExpectedNode, NodeEvent, NodeFact};
use archtrace_proto::v1;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

use crate::coverage::digests;
use crate::coverage::judged::Judged;
use crate::coverage::ledger::Ledger;
use crate::expected::Expected;
use crate::findings::recent;
use crate::mandates::Mandates;
use crate::read::{FactChange, FactCursor, FactQuery, Head, NodeId, Read, StoreError, Version};
use crate::service::{Settings, alive_since};
pub(crate) use log::Found;
use log::Log;
pub(crate) use poll::NODES_AT_ONCE;
pub(crate) use start::Start;
use start::settle;
use table::Table;

/// How often the store is asked for changes: people do not notice the delay, and for 10,000 nodes the
/// question takes some milliseconds.
pub(crate) const INTERVAL: Duration = Duration::from_millis(400);

/// How long a question waits until all facts are there. 300,000 take some seconds.
const LOADING: Duration = Duration::from_secs(30);

/// How old the last look at the store may be until answers are refused: a look at a store that is busy
/// with ten thousand nodes' snapshots takes seconds.
const TOO_OLD: Duration = Duration::from_secs(30);

/// How old the coverage of an answer may be, of which three heartbeats of silence are a part.
const COVERAGE_AGE: Duration = Duration::from_secs(5);

/// Changes that are kept for readers, and one batch more. A fact with its identity takes some 1.5 kB, so
/// that this is 30 MB while somebody follows; a steady 2,000 changes a second pass in ten seconds.
const CHANGES: u64 = 20_000;

/// The same for events.
const EVENTS: u64 = 20_000;

/// The facts that agents keep now, kept up to date by a task.
#[derive(Debug)]
pub(crate) struct Live<S> {
    shared: Arc<Shared<S>>,
    _ends_the_task: DropGuard,
}

/// A change of a fact, or a fact of a node that began or ceased to report.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// The fact, and whether it is told again though it did not change.
    Change(Box<FactChange>, bool),
    /// All facts of a node that is no more.
    Gone(table::Gone),
}

/// What the task and those who ask share.
pub(crate) struct Shared<S> {
    store: Arc<S>,
    heartbeat_interval: Duration,
    expected: Arc<dyn Expected>,
    idle: Option<Duration>,
    stop: CancellationToken,
    table: RwLock<Table>,
    /// Changes that are in the table; added to while the table is locked for writing.
    changes: Arc<Log<Told>>,
    events: Arc<Log<NodeEvent>>,
    recent: recent::Cache,
    pub(crate) mandates: Mandates,
    /// What a policy asks for besides facts; locked after the table where both are.
    ledger: RwLock<Option<Ledger>>,
    digests: digests::Cache,
    /// How it is with agents, as it was judged last; locked after the ledger.
    judged: Mutex<Judged>,
    counter: Option<Arc<dyn growth::Counter>>,
    /// Of each node the version up to which events are in the log and the ledger, or nobody wanted them.
    events_known: Mutex<HashMap<NodeId, Version>>,
    state: watch::Sender<State>,
    use_: Mutex<Use>,
}

impl<S> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// How far the task is.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// Not all facts are there yet.
    Loading,
    /// All that the store held at this time is there.
    Current {
        coverage: Arc<Coverage>,
        at: Instant,
    },
    /// The store did not answer.
    Away,
}

impl State {
    /// Whether answers can be given.
    fn is_current(&self) -> bool {
        matches!(self, Self::Current { at, .. } if at.elapsed() < TOO_OLD)
    }
}

#[derive(Debug)]
struct Use {
    /// Whether the task runs.
    runs: bool,
    /// When somebody asked last.
    last: Instant,
    /// How many follow.
    followers: usize,
}

/// Keeps the task from ending, for somebody who follows.
pub(crate) struct Following<S>(Arc<Shared<S>>);

impl<S> Drop for Following<S> {
    fn drop(&mut self) {
        let mut used = self.0.used();
        used.followers -= 1;
        used.last = Instant::now();
    }
}

impl<S> Shared<S> {
    fn used(&self) -> MutexGuard<'_, Use> {
        self.use_.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn expected(&self) -> &dyn Expected {
        self.expected.as_ref()
    }

    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    pub(crate) fn ledger(&self) -> RwLockReadGuard<'_, Option<Ledger>> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger_mut(&self) -> RwLockWriteGuard<'_, Option<Ledger>> {
        self.ledger.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_ledger(&self, ledger: Ledger) {
        *self.ledger_mut() = Some(ledger);
    }

    pub(crate) fn judged(&self) -> MutexGuard<'_, Judged> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events up to these heads need not be read.
    pub(crate) fn events_are_known(&self, heads: &[Head]) {
        if !self.events.is_followed() {
            let versions = heads.iter().map(|head| (head.node, head.version));
            *self.events_known() = versions.collect();
        }
    }

    fn events_known(&self) -> MutexGuard<'_, HashMap<NodeId, Version>> {
        self.events_known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Of these clusters; of all if there are none.
    fn coverage_of(&self, heads: &[Head], clusters: &[String]) -> Coverage {
        let since = alive_since(self.heartbeat_interval);
        let heard = heads.iter().map(|head| {
            (
                head.cluster.as_str(),
                head.name.as_str(),
                head.last_heard >= since,
            )
        });
        let heard: Vec<_> = heard.collect();
        Coverage::of(&heard, &self.expected.nodes(), clusters)
    }
}

impl<S: Read> Live<S> {
    /// The task starts at once if it is never to end, else with the first question.
    pub(crate) fn new(store: Arc<S>, settings: &Settings) -> Self {
        let stop = settings.shutdown.child_token();
        let used = Use {
            runs: false,
            last: Instant::now(),
            followers: 0,
        };
        let shared = Arc::new(Shared {
            store,
            heartbeat_interval: settings.heartbeat_interval,
            expected: Arc::clone(&settings.expected),
            idle: settings.idle,
            stop: stop.clone(),
            table: RwLock::default(),
            changes: Arc::new(Log::new(CHANGES)),
            events: Arc::new(Log::new(EVENTS)),
            recent: recent::Cache::default(),
            mandates: settings.mandates.clone(),
            ledger: RwLock::default(),
            digests: digests::Cache::default(),
            judged: Mutex::default(),
            counter: settings.server.counter(),
            events_known: Mutex::default(),
            state: watch::Sender::new(State::Loading),
            use_: Mutex::new(used),
        });
        let live = Self {
            shared,
            _ends_the_task: stop.drop_guard(),
        };
        if settings.idle.is_none() {
            live.wake(0);
        }
        live
    }

    /// Makes sure that the task runs.
    fn wake(&self, followers: usize) {
        let mut used = self.shared.used();
        used.last = Instant::now();
        used.followers += followers;
        if !used.runs {
            used.runs = true;
            tokio::spawn(poll::run(Arc::clone(&self.shared)));
        }
    }

    /// Keeps the task running for as long as what is returned lives.
    pub(crate) fn following(&self) -> Following<S> {
        self.wake(1);
        Following(Arc::clone(&self.shared))
    }

    /// Follows how far the task is.
    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    /// Waits until all facts are there.
    ///
    /// # Errors
    /// If that takes too long, or the store does not answer.
    pub(crate) async fn loaded(&self) -> Result<Arc<Shared<S>>, Status> {
        if self.shared.stop.is_cancelled() {
            return Err(Status::unavailable(
                "the server ends; ask again in a moment",
            ));
        }
        self.wake(0);
        let mut state = self.shared.state.subscribe();
        let known = state.wait_for(|state| !matches!(state, State::Loading));
        match tokio::time::timeout(LOADING, known).await {
            Ok(Ok(state)) => match &*state {
                state if state.is_current() => Ok(Arc::clone(&self.shared)),
                State::Current { .. } | State::Away | State::Loading => Err(Status::unavailable(
                    "the store does not work at the moment; try again later, and see the log",
                )),
            },
            Ok(Err(_)) => Err(Status::unavailable("the server ends")),
            Err(_) => Err(Status::unavailable(
                "facts are still being read from the store; try again in a moment",
            )),
        }
    }

    /// What the question asks for, if all of it is here; `None` if the store has to be asked. It is behind
    /// the store by as much as sums are.
    pub(crate) fn facts(&self, query: &FactQuery) -> Option<Vec<(FactCursor, Arc<NodeFact>)>> {
        let shared = &self.shared;
        // One that is not there before it is asked for belongs to a store that is in memory itself.
        if shared.idle.is_some() || !shared.state.borrow().is_current() {
            return None;
        }
        let table = shared.table();
        table.whole.list(&table, query)
    }

    /// Which nodes answers cannot speak for: what is known from the last look at the store, or a look
    /// now.
    pub(crate) async fn known_coverage(&self) -> Result<Arc<Coverage>, Status> {
        if let State::Current { coverage, at } = &*self.shared.state.borrow()
            && at.elapsed() < COVERAGE_AGE
        {
            return Ok(Arc::clone(coverage));
        }
        let heads = self.shared.store.heads().await.map_err(unavailable)?;
        Ok(Arc::new(self.shared.coverage_of(&heads, &[])))
    }

    /// The same as a part of an answer.
    pub(crate) async fn coverage(&self) -> Result<Option<v1::NodeCoverage>, Status> {
        let coverage = self.known_coverage().await?;
        Ok(Some(coverage.as_ref().into()))
    }

    /// Which nodes of these clusters an answer cannot speak for; of all clusters if there are none.
    pub(crate) async fn known_coverage_of(
        &self,
        clusters: &[String],
    ) -> Result<Arc<Coverage>, Status> {
        if clusters.is_empty() {
            return self.known_coverage().await;
        }
        let heads = self.shared.store.heads().await.map_err(unavailable)?;
        Ok(Arc::new(self.shared.coverage_of(&heads, clusters)))
    }

    /// The same as a part of an answer.
    pub(crate) async fn coverage_of_clusters(
        &self,
        clusters: &[String],
    ) -> Result<Option<v1::NodeCoverage>, Status> {
        let coverage = self.known_coverage_of(clusters).await?;
        Ok(Some(coverage.as_ref().into()))
    }

    /// Nodes that should report and never did, in order.
    pub(crate) async fn unknown_nodes(&self) -> Result<Vec<ExpectedNode>, Status> {
        let expected = self.shared.expected.nodes();
        if expected.nodes.is_none() {
            return Ok(Vec::new());
        }
        let heads = self.shared.store.heads().await.map_err(unavailable)?;
        let heard = heads
            .iter()
            .map(|head| (head.cluster.as_str(), head.name.as_str()));
        Ok(expected.unheard(heard).into_iter().cloned().collect())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: StoreError) -> Status {
    tracing::error!(%error, "cannot answer");
    Status::unavailable("the store does not work at the moment; try again later, and see the log")
}
