//! Answers questions: checks them, asks whoever knows, cuts the answer into pages.

mod ask;
mod cost;
mod coverage;
mod events;
mod facts;
mod findings;
mod follow;
mod images;
mod matrix;
mod measure;
mod nodes;
mod status;
mod stream;
mod summary;
mod verify;
mod watch;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::coverage::Change;
use archtrace_proto::v1;
use tokio::sync::Semaphore;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::coverage::standing::Known;
use crate::expected::Expected;
use crate::live::Live;
use crate::live::growth::Counter;
use crate::mandates::Mandates;
use crate::read::Read;
pub use measure::Measured;

/// A node that is silent for this many heartbeats is stale.
pub const MISSED_HEARTBEATS: u32 = 3;

/// What the server around the service knows, and people ask for.
pub trait Server: Send + Sync + 'static {
    /// Whether peers are authenticated.
    fn authenticated(&self) -> bool;
    /// What was refused since the server started, by reason.
    fn refusals(&self) -> Vec<(String, u64)>;
    /// Who counts how facts grow, if somebody does.
    fn counter(&self) -> Option<Arc<dyn Counter>> {
        None
    }
}

/// One that authenticates nobody and refuses nothing.
#[derive(Clone, Copy, Debug)]
pub struct Open;

impl Server for Open {
    fn authenticated(&self) -> bool {
        false
    }

    fn refusals(&self) -> Vec<(String, u64)> {
        Vec::new()
    }
}

/// How to answer.
#[derive(Clone)]
pub struct Settings {
    /// Which store, as the option named it, without secrets.
    pub store_name: String,
    /// How often agents report at least.
    pub heartbeat_interval: Duration,
    /// What else the server knows.
    pub server: Arc<dyn Server>,
    /// Which nodes should report.
    pub expected: Arc<dyn Expected>,
    /// Which agents have to run.
    pub mandates: Mandates,
    /// How long after the last question what is kept in memory for the next one is dropped; never, and
    /// ready before the first question, if `None`.
    pub idle: Option<Duration>,
    /// Ends streams when it is cancelled.
    pub shutdown: CancellationToken,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            store_name,
            heartbeat_interval,
            mandates,
            idle,
            ..
        } = self;
        f.debug_struct("Settings")
            .field("store_name", store_name)
            .field("heartbeat_interval", heartbeat_interval)
            .field("mandates", mandates)
            .field("idle", idle)
            .finish_non_exhaustive()
    }
}

/// The service. Cheap to clone: clones share everything.
#[derive(Debug)]
pub struct Query<S> {
    inner: Arc<Inner<S>>,
}

impl<S> Clone for Query<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

#[derive(Debug)]
struct Inner<S> {
    store: Arc<S>,
    settings: Settings,
    live: Live<S>,
    followers: Arc<Semaphore>,
    told: watch::told::Count,
    /// Facts that are held for those who verify.
    held: verify::Held,
    started_at: SystemTime,
}

impl<S: Read> Query<S> {
    /// Answers from `store`. Has to be called within a tokio runtime.
    #[must_use]
    pub fn new(store: Arc<S>, settings: Settings) -> Self {
        let live = Live::new(Arc::clone(&store), &settings);
        let inner = Inner {
            store,
            settings,
            live,
            followers: Arc::new(Semaphore::new(follow::MAX_FOLLOWERS)),
            told: watch::told::Count::default(),
            held: verify::Held::default(),
            started_at: SystemTime::now(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What agents keep now.
    pub(crate) fn live(&self) -> &Live<S> {
        &self.inner.live
    }
}

impl<S: Read> Query<S> {
    /// How it is otherwise with mandated agents than it is noted: what changed since the last call. Nothing,
    /// if there is no policy.
    ///
    /// # Errors
    /// If the store does not answer. Then what is known is lost, and has to be read anew.
    pub async fn coverage_changes(&self, known: Known) -> Result<(Known, Vec<Change>), Status> {
        coverage::changes(&self.inner, known).await
    }
}

impl<S: Read> Inner<S> {
    /// Nodes that were heard since then are reporting.
    fn alive_since(&self) -> SystemTime {
        alive_since(self.settings.heartbeat_interval)
    }
}

/// Nodes that were heard since then are reporting now.
pub(crate) fn alive_since(heartbeat_interval: Duration) -> SystemTime {
    let silence = heartbeat_interval * MISSED_HEARTBEATS;
    SystemTime::now()
        .checked_sub(silence)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// What a question that goes on is answered with.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl<S: Read> v1::query_server::Query for Query<S> {
    type WatchFactsStream = Answers<v1::WatchFactsResponse>;
    type StreamEventsStream = Answers<v1::StreamEventsResponse>;
    type VerifyPodsStream = Answers<v1::VerifyPodsResponse>;

    async fn list_facts(
        &self,
        request: Request<v1::ListFactsRequest>,
    ) -> Result<Response<v1::ListFactsResponse>, Status> {
        facts::list(&self.inner, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn summarize_facts(
        &self,
        request: Request<v1::SummarizeFactsRequest>,
    ) -> Result<Response<v1::SummarizeFactsResponse>, Status> {
        summary::summarize(&self.inner, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn watch_facts(
        &self,
        request: Request<v1::WatchFactsRequest>,
    ) -> Result<Response<Self::WatchFactsStream>, Status> {
        let deadline = ask::deadline(request.metadata())?;
        watch::watch(&self.inner, request.into_inner(), deadline).map(Response::new)
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        events::list(&self.inner, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn stream_events(
        &self,
        request: Request<v1::StreamEventsRequest>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        let deadline = ask::deadline(request.metadata())?;
        stream::stream(&self.inner, request.into_inner(), deadline).map(Response::new)
    }

    async fn list_findings(
        &self,
        request: Request<v1::ListFindingsRequest>,
    ) -> Result<Response<v1::ListFindingsResponse>, Status> {
        findings::list(&self.inner, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        nodes::list(&self.inner, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_images(
        &self,
        request: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        images::list(&self.inner, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_cost(
        &self,
        request: Request<v1::GetCostRequest>,
    ) -> Result<Response<v1::GetCostResponse>, Status> {
        cost::cost(&self.inner, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_matrix(
        &self,
        request: Request<v1::GetMatrixRequest>,
    ) -> Result<Response<v1::GetMatrixResponse>, Status> {
        matrix::get(&self.inner, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn verify_pods(
        &self,
        request: Request<v1::VerifyPodsRequest>,
    ) -> Result<Response<Self::VerifyPodsStream>, Status> {
        let deadline = ask::deadline(request.metadata())?;
        verify::verify(&self.inner, request.into_inner(), deadline).map(Response::new)
    }

    async fn get_server_status(
        &self,
        _: Request<v1::GetServerStatusRequest>,
    ) -> Result<Response<v1::GetServerStatusResponse>, Status> {
        status::status(&self.inner).await.map(Response::new)
    }

    async fn get_coverage(
        &self,
        request: Request<v1::GetCoverageRequest>,
    ) -> Result<Response<v1::GetCoverageResponse>, Status> {
        coverage::get(&self.inner, request.into_inner())
            .await
            .map(Response::new)
    }
}
