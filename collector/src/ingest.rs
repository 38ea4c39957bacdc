//! Where agents report: one stream per node, its state applied in order, its events acknowledged
//! after the commit.

mod beats;
pub mod gate;
mod registry;
mod session;
mod staging;
mod throttle;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use archtrace_proto::RECONNECT;
use archtrace_proto::v1::agent_ingest_server::AgentIngest;
use archtrace_proto::v1::{SyncRequest, SyncResponse};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use crate::auth::Caller;
use crate::kubernetes::Names;
use crate::limiter::Limiter;
use crate::metrics::Own;
use crate::refusals::Refusals;
use crate::store::Store;
use beats::Beats;
use gate::{Gate, Letters};
use registry::Registry;
use staging::Staged;

/// Largest message of an agent, in bytes. A snapshot comes in chunks, so that this bounds what one
/// stream can make the collector hold at once before it is checked.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Most facts, owners, images and removals together in one update, and most records in one batch:
/// what half a message holds if names are as short as they get, and a few hundred milliseconds of the
/// store's time, which others wait for.
pub const MAX_ITEMS: usize = 4096;

/// Answers on their way to one agent. It has at most one state update and one batch of events
/// unacknowledged, and a heartbeat; an agent that does not read its answers is not read either.
const ANSWERS: usize = 4;

/// The same trouble with the store concerns every agent: it is logged this often.
const TROUBLE_EVERY: Duration = Duration::from_secs(10);

/// How agents are to report.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How often at least.
    pub heartbeat_interval: Duration,
    /// How old a stream may become; for ever if `None`.
    pub max_age: Option<Duration>,
    /// Over what time streams are told to leave at the end.
    pub drain: Duration,
}

/// The service.
#[derive(Debug)]
pub struct Ingest<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for Ingest<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// What all streams share.
#[derive(Debug)]
struct Shared<S> {
    store: Arc<S>,
    rules: Rules,
    refusals: Arc<Refusals>,
    own: Arc<Own>,
    names: Option<Arc<Names>>,
    registry: Arc<Registry>,
    beats: Beats,
    staged: Arc<Staged>,
    trouble: Limiter,
    sessions: TaskTracker,
    shutdown: CancellationToken,
}

impl<S: Store> Ingest<S> {
    /// What `names` knows of pods holds against what agents say. Streams are told to leave, one after the
    /// other, when `shutdown` is cancelled.
    pub(crate) fn new(
        store: Arc<S>,
        rules: Rules,
        refusals: Arc<Refusals>,
        own: Arc<Own>,
        names: Option<Arc<Names>>,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                rules,
                refusals,
                own,
                names,
                registry: Arc::default(),
                beats: Beats::default(),
                staged: Arc::default(),
                trouble: Limiter::new(TROUBLE_EVERY),
                sessions: TaskTracker::new(),
                shutdown,
            }),
        }
    }

    /// Stores signs of life until `ended`, and then what is left of them.
    pub async fn store_heartbeats(&self, ended: CancellationToken) {
        let Shared {
            store,
            beats,
            trouble,
            ..
        } = &*self.shared;
        beats.run(&**store, trouble, ended).await;
    }

    /// Waits until all streams have ended, after `shutdown`.
    pub async fn left(&self) {
        self.shared.sessions.close();
        self.shared.sessions.wait().await;
    }
}

#[tonic::async_trait]
impl<S: Store> AgentIngest for Ingest<S> {
    type SyncStream = Answers;

    async fn sync(
        &self,
        request: Request<Streaming<SyncRequest>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        if self.shared.shutdown.is_cancelled() {
            return Err(leave("the collector is shutting down"));
        }
        let caller = request.extensions().get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Status::unauthenticated("nobody said who this is"))?;
        let letters = request.extensions().get::<Letters>();
        let inbox = letters
            .and_then(Letters::take)
            .ok_or_else(|| Status::internal("nobody took the messages out"))?;
        let (answers, stream) = mpsc::channel(ANSWERS);
        let context = session::Context {
            shared: Arc::clone(&self.shared),
            caller,
            gate: Gate::default(),
            answers,
        };
        self.shared.sessions.spawn(session::run(context, inbox));
        Ok(Response::new(Answers(stream)))
    }
}

/// Answers to one agent.
#[derive(Debug)]
pub struct Answers(mpsc::Receiver<Answer>);

/// Boxed, because a channel has room for 32 of them from its first one on.
type Answer = Result<Box<SyncResponse>, Status>;

impl Stream for Answers {
    type Item = Result<SyncResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let answer = ready!(self.0.poll_recv(cx));
        Poll::Ready(answer.map(|answer| answer.map(|answer| *answer)))
    }
}

/// Ends a stream as planned.
fn leave(reason: &str) -> Status {
    /// Agents come back at random times within this: many may be told to leave at once.
    const WITHIN_MS: &str = "2000";
    let mut status = Status::unavailable(format!("{reason}; connect again"));
    let within = tonic::metadata::MetadataValue::from_static(WITHIN_MS);
    status.metadata_mut().insert(RECONNECT, within);
    status
}

/// A random fraction of `whole`.
fn part_of(whole: Duration) -> Duration {
    // Without a source of randomness only the jitter is lost.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    whole.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
