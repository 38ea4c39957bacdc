//! Reads events as they come into the store, and passes them on until they are confirmed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::how_many_fit;
use archtrace_query::Read;
use archtrace_query::read::{EventPlace, Head, NodeId, StoreError, Version};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::backoff::Backoff;
use crate::positions::Positions;
use crate::progress::Progress;

/// How often the store is asked whether there is more.
const INTERVAL: Duration = Duration::from_secs(1);

/// Nodes per question to the store.
const NODES: usize = 500;

/// Events in one batch: all that is in memory. Some 200 kB; names may be long, but agents send no
/// message beyond a mebibyte.
const BATCH: u32 = 256;

/// Bytes of a message, about: receivers of gRPC take 4 MiB unless they are told otherwise.
const MESSAGE: usize = 1 << 20;

/// Takes events.
pub trait Sink: Send + 'static {
    /// Passes events on. When it answers, whatever it says was taken is safe.
    ///
    /// # Errors
    /// Whether the same may be taken another time.
    fn send(&mut self, events: &[NodeEvent])
    -> impl Future<Output = Result<Taken, Refusal>> + Send;
}

/// All events were dealt with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many of them the other side did not take, and never will.
    pub rejected: u64,
    /// What it says about that; may be empty.
    pub said: String,
}

/// Why events were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The other side, or the way to it, is not there: the same may be taken later.
    Later {
        /// How long it wants to be left alone, if it says so.
        after: Option<Duration>,
        /// What went wrong.
        reason: String,
    },
    /// There is more to be known of them in a moment, such as a name: they are read again. Nothing is wrong.
    Early {
        /// How long that may take.
        after: Duration,
    },
    /// It will not take these: fewer of them perhaps, or all but one.
    Content {
        /// What it says.
        reason: String,
    },
}

/// Passes on what comes into the store after `positions`, for ever. Where nothing was exported before, that
/// is what happens from now on.
pub async fn run<S: Read, K: Sink>(
    store: Arc<S>,
    sink: K,
    positions: Positions,
    progress: Arc<Progress>,
) {
    let mut follower = Follower {
        store,
        sink,
        positions,
        progress,
        backoff: Backoff::new(),
        trouble: None,
    };
    loop {
        match follower.pass().await {
            Ok(()) => sleep(INTERVAL).await,
            Err(error) => {
                follower
                    .wait(None, &format!("the store does not answer: {error}"))
                    .await;
            }
        }
    }
}

struct Follower<S, K> {
    store: Arc<S>,
    sink: K,
    positions: Positions,
    progress: Arc<Progress>,
    backoff: Backoff,
    /// What was logged last: the same is not logged again.
    trouble: Option<String>,
}

impl<S: Read, K: Sink> Follower<S, K> {
    /// Passes on all that is there now.
    async fn pass(&mut self) -> Result<(), StoreError> {
        let heads = self.store.heads().await?;
        if self.positions.is_new {
            self.begin(&heads).await;
        }
        let forgotten = self.forgotten(&heads);
        let behind: Vec<_> = heads.iter().filter_map(|head| self.behind(head)).collect();
        self.progress
            .set_behind(!behind.is_empty() || !forgotten.is_empty());
        for nodes in forgotten.chunks(NODES) {
            self.pass_nodes(nodes).await?;
            for (node, _) in nodes {
                self.positions.nodes.remove(node);
                self.progress.forgot(*node);
            }
        }
        for nodes in behind.chunks(NODES) {
            self.pass_nodes(nodes).await?;
        }
        self.progress.set_behind(false);
        Ok(())
    }

    /// Nothing was exported before: what is there now is history.
    async fn begin(&mut self, heads: &[Head]) {
        for head in heads {
            self.reach(head.node, EventPlace::behind(head.version));
        }
        self.save().await;
        self.positions.is_new = false;
        let (name, nodes) = (self.progress.name(), heads.len());
        info!(export = name, nodes, "exports what happens from now on");
    }

    /// Where to read on, if there may be more: the node, and how far its changes are.
    fn behind(&mut self, head: &Head) -> Option<(NodeId, Version)> {
        if head.began > Version::default() && !self.positions.nodes.contains_key(&head.node) {
            // It was forgotten, with all that had been passed on, and came back.
            self.reach(head.node, EventPlace::behind(head.began));
        }
        let place = self.place(head.node);
        if place.version > head.version {
            // Another store under the same name, or an older state of it.
            warn!(
                export = self.progress.name(),
                node = head.name,
                "the store knows less of this node than was exported; its events are exported again"
            );
            self.reach(head.node, EventPlace::default());
        }
        (self.place(head.node) < EventPlace::behind(head.version))
            .then_some((head.node, head.version))
    }

    /// Nodes that the store has forgotten, maybe before all of their events were passed on.
    fn forgotten(&self, heads: &[Head]) -> Vec<(NodeId, Version)> {
        let there: HashSet<_> = heads.iter().map(|head| head.node).collect();
        let nodes = self.positions.nodes.iter();
        let gone = nodes.filter(|(node, _)| !there.contains(node));
        gone.map(|(node, place)| (*node, place.version)).collect()
    }

    fn place(&self, node: NodeId) -> EventPlace {
        self.positions.nodes.get(&node).copied().unwrap_or_default()
    }

    fn reach(&mut self, node: NodeId, place: EventPlace) {
        self.positions.nodes.insert(node, place);
        self.progress.reached(node, place);
    }

    async fn pass_nodes(&mut self, nodes: &[(NodeId, Version)]) -> Result<(), StoreError> {
        loop {
            let places = nodes.iter().map(|(node, _)| (*node, self.place(*node)));
            let told = self.store.events_after(places.collect(), BATCH).await?;
            let is_all = told.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
            let (mut places, mut events) = (Vec::new(), Vec::new());
            for (node, place, event) in told {
                places.push((node, place));
                events.push(event);
            }
            if !self.deliver(&places, &events).await {
                continue;
            }
            if is_all {
                break;
            }
        }
        // There was no more of them when they were at these versions. Need not survive: it is found again.
        for (node, version) in nodes {
            let place = self.place(*node).max(EventPlace::behind(*version));
            self.reach(*node, place);
        }
        Ok(())
    }

    /// Whether all were dealt with. If they have to wait, they do so in the store and are read again: until
    /// then some may be deleted, and others get names.
    async fn deliver(
        &mut self,
        mut places: &[(NodeId, EventPlace)],
        mut events: &[NodeEvent],
    ) -> bool {
        let mut most = events.len();
        while !events.is_empty() {
            let weights = events.iter().take(most);
            let weights = weights.map(|event| event.record.weight() + event.identity.weight());
            let count = how_many_fit(MESSAGE, weights).clamp(1, events.len());
            let (now, later) = events.split_at(count);
            match self.sink.send(now).await {
                Ok(Taken { rejected, said }) => {
                    self.took(u64::try_from(count).unwrap_or(u64::MAX), rejected, &said);
                }
                Err(Refusal::Later { after, reason }) => {
                    self.wait(after, &reason).await;
                    return false;
                }
                Err(Refusal::Early { after }) => {
                    self.progress.set_behind(true);
                    sleep(after).await;
                    return false;
                }
                Err(Refusal::Content { reason }) if count > 1 => {
                    // One of them, or their number: found out by halves.
                    self.note(&reason);
                    most = count / 2;
                    continue;
                }
                Err(Refusal::Content { reason }) => self.took(1, 1, &reason),
            }
            let (reached, rest) = places.split_at(count);
            for (node, place) in reached {
                self.reach(*node, *place);
            }
            self.save().await;
            (places, events) = (rest, later);
            // Back to full messages, slowly: what is refused for its size should not be tried each time.
            most = most.saturating_mul(2).max(1);
        }
        true
    }

    fn took(&mut self, count: u64, rejected: u64, said: &str) {
        let rejected = rejected.min(count);
        self.progress.sent(count - rejected);
        self.progress.refuse(rejected);
        self.backoff.reset();
        let name = self.progress.name();
        if rejected > 0 {
            if self.is_news(said) {
                error!(
                    export = name,
                    rejected, said, "events are refused for good; status counts them"
                );
            }
        } else if !said.is_empty() {
            if self.is_news(said) {
                warn!(
                    export = name,
                    said, "events are taken, and this is said of them"
                );
            }
        } else if self.trouble.take().is_some() {
            info!(export = name, "events are taken again");
        }
    }

    /// Whether that is not what was logged last.
    fn is_news(&mut self, trouble: &str) -> bool {
        let is_news = self.trouble.as_deref() != Some(trouble);
        self.trouble = Some(trouble.to_owned());
        is_news
    }

    /// Says why events are not taken.
    fn note(&mut self, reason: &str) {
        if self.is_news(reason) {
            let name = self.progress.name();
            warn!(
                export = name,
                reason, "events are not taken; they wait in the store"
            );
        }
    }

    async fn wait(&mut self, after: Option<Duration>, reason: &str) {
        self.note(reason);
        self.progress.set_behind(true);
        self.progress.retry();
        let random = getrandom::u64().unwrap_or(u64::MAX / 3);
        sleep(self.backoff.next(after, random)).await;
    }

    /// Notes how far it is. What cannot be noted would come again after a restart, so it goes no further.
    async fn save(&mut self) {
        loop {
            // A file system may be slow: others of this thread should not wait for it.
            let positions = self.positions.copy();
            let saved = spawn_blocking(move || positions.save()).await;
            match saved {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    let path = self.positions.path().display().to_string();
                    self.wait(None, &format!("cannot write {path}: {error}"))
                        .await;
                }
                Err(error) => self.wait(None, &error.to_string()).await,
            }
        }
    }
}
