//! The wiring: one server, and everything ends with it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use archtrace_export::Progress;
use archtrace_proto::FILE_DESCRIPTOR_SET;
use archtrace_proto::v1::agent_ingest_server::AgentIngestServer;
use archtrace_proto::v1::query_server::QueryServer;
use archtrace_query::{Counter, Mandates, Query};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tracing::{info, warn};

use crate::accept::{self, Door, Places, Speaks};
use crate::args::{Args, StoreUrl};
use crate::auth::layer::Roles;
use crate::auth::{self, Auth, AuthError};
use crate::coverage;
use crate::exports::{self, ExportError, Exports};
use crate::fleet::{self, Nodes, NodesError, machines};
use crate::ingest::gate::Room;
use crate::ingest::{Ingest, Rules};
use crate::kubernetes::{self, Kubernetes, KubernetesError};
use crate::metrics::{self, Counting, Fleet, Own, Requests, Timed};
use crate::policy::{self, PolicyError};
use crate::refusals::Refusals;
use crate::retention;
use crate::store::postgres::{PATIENCE, PostgresStore};
use crate::store::sqlite::SqliteStore;
use crate::store::{Keep, Store, StoreError};
use crate::web;

/// A connection that does not answer a ping within [`KEEPALIVE_TIMEOUT`] is closed: an agent's node
/// may vanish without a word.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes that a peer may send on a stream before they are read: with 10,000 agents 80 MB at worst, and the
/// buffer that a connection reads into, 8 kB, never has to grow. An agent that is 100 ms away still gets
/// 80 kB/s through.
const STREAM_WINDOW: u32 = 8000;
/// The same for a connection: what HTTP/2 gives everybody to begin with.
const CONNECTION_WINDOW: u32 = 65_535;

/// Streams of one connection: an agent has one, a reader a few.
const MAX_STREAMS: u32 = 32;

/// Bytes of headers: a token is some 1,200.
const MAX_HEADERS: u32 = 32 << 10;

/// Beyond the time in which agents are told to leave: answers that are being built, and the commit of what
/// was taken in, get this long.
const GRACE: Duration = Duration::from_secs(5);

/// How to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As the option named it, without secrets.
    pub store_name: String,
    /// How often agents shall report at least.
    pub heartbeat_interval: Duration,
    /// Connections at once.
    pub max_connections: usize,
    /// How old an agent's stream may become; for ever if `None`.
    pub max_connection_age: Option<Duration>,
    /// Over what time agents are told to leave at the end.
    pub drain: Duration,
    /// How long things are kept.
    pub keep: Keep,
    /// How peers show who they are; `None` is development mode: everybody may report and read.
    pub auth: Option<auth::Options>,
    /// Which nodes should report.
    pub nodes: Nodes,
    /// The file that says which agents have to run, if there is one.
    pub policy: Option<PathBuf>,
    /// Where events are passed on to.
    pub exports: exports::Options,
    /// What the API of Kubernetes is used for, besides the list of nodes.
    pub kubernetes: kubernetes::Options,
    /// What Prometheus is told, and where; nothing if `None`.
    pub metrics: Option<metrics::Options>,
}

impl Settings {
    /// What the options are by default.
    #[must_use]
    pub fn new(store_name: String, heartbeat_interval: Duration) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            store_name,
            heartbeat_interval,
            max_connections: 20_000,
            max_connection_age: Some(Duration::from_secs(30 * 60)),
            drain: Duration::from_secs(5),
            keep: Keep {
                events: 30 * DAY,
                history: 90 * DAY,
            },
            auth: None,
            nodes: Nodes::Seen,
            policy: None,
            exports: exports::Options::default(),
            kubernetes: kubernetes::Options::default(),
            metrics: None,
        }
    }
}

/// What people may ask the server for.
#[derive(Debug)]
struct Known {
    authenticated: bool,
    refusals: Arc<Refusals>,
    exports: Vec<Arc<Progress>>,
    kubernetes: Arc<kubernetes::Counts>,
    counting: Option<Arc<Counting>>,
}

impl archtrace_query::Server for Known {
    fn authenticated(&self) -> bool {
        self.authenticated
    }

    fn refusals(&self) -> Vec<(String, u64)> {
        let mut counts = self.refusals.counts();
        counts.extend(exports::troubles(&self.exports));
        counts.extend(self.kubernetes.troubles());
        counts
    }

    fn counter(&self) -> Option<Arc<dyn Counter>> {
        let counting = self.counting.clone()?;
        Some(counting)
    }
}

/// Why the collector ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {reason}; choose another with {option} ADDR")]
    Listen {
        /// Which option named it.
        option: &'static str,
        /// What it said.
        address: SocketAddr,
        /// The system's error.
        reason: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Open(StoreError),
    /// The store stopped to take anything.
    #[error("{0}; nothing can be stored any more")]
    Store(StoreError),
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The list of nodes cannot be read.
    #[error(transparent)]
    Nodes(#[from] NodesError),
    /// The API of Kubernetes cannot be used.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// The watch of the API of Kubernetes has ended.
    #[error("the watch of the Kubernetes API ended: {0}")]
    Watching(String),
    /// There is no policy where one was named.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// An export cannot begin.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// An export has ended.
    #[error("an export ended: {0}")]
    Exporting(String),
    /// The server ended.
    #[error("the server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// The descriptors that were compiled in cannot be served.
    #[error("the reflection service failed: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl Failure {
    /// The process's exit code; `--help` explains them.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Server(_)
            | Self::Reflection(_)
            | Self::Store(_)
            | Self::Exporting(_)
            | Self::Watching(_) => 1,
            Self::Listen { .. } => 3,
            Self::Open(_) => 4,
            Self::Auth(_) => 5,
            Self::Nodes(_) | Self::Kubernetes(_) => 6,
            Self::Policy(_) => 7,
            Self::Export(_) => 8,
        }
    }
}

/// Runs the collector until `shutdown` is cancelled.
///
/// # Errors
/// If it cannot start, or the store or the server fail.
pub async fn run(args: Args, shutdown: CancellationToken) -> Result<(), Failure> {
    let (listen, web_listen) = (args.listen, args.web_listen);
    let mut settings = args.settings();
    let (store, password_file) = (args.store, args.store_password_file);
    // First the address: whoever loses a race for it must not have touched the winner's store.
    let grpc = bind("--listen", listen)?;
    let web = web_listen.map(|web| bind("--web-listen", web));
    let web = web.transpose()?;
    if let Some(at) = args.metrics.metrics_listen {
        let listener = archtrace_metrics::serve::listen(at).await;
        let listener = listener.map_err(|reason| Failure::Listen {
            option: "--metrics-listen",
            address: at,
            reason,
        })?;
        settings.metrics = Some(metrics::Options {
            listener,
            max_series: usize::try_from(args.metrics.metrics_max_series).unwrap_or(usize::MAX),
        });
    }
    let address = grpc.local_addr().unwrap_or(listen);
    let page = web.as_ref().and_then(|web| web.local_addr().ok());
    let listeners = Listeners { grpc, web };
    let listening = |store: &str| {
        let version = env!("CARGO_PKG_VERSION");
        info!(%address, store, version, "listening");
        if let Some(address) = page {
            let scheme = if settings.auth.is_some() {
                "https"
            } else {
                "http"
            };
            info!("the page is at {scheme}://{address}/");
        }
        if settings.auth.is_none() {
            warn!("development mode: plaintext, and every peer may report and read");
        }
    };
    match store {
        StoreUrl::Sqlite(path) => {
            let opened = SqliteStore::open(&path).map_err(Failure::Open)?;
            listening(&settings.store_name);
            serve(listeners, opened, settings, shutdown).await
        }
        StoreUrl::Postgres(url) => {
            let opened = tokio::select! {
                opened = PostgresStore::connect(&url, password_file, PATIENCE) => opened,
                () = shutdown.cancelled() => return Ok(()),
            };
            let opened = opened.map_err(Failure::Open)?;
            listening(&settings.store_name);
            serve(listeners, opened, settings, shutdown).await
        }
    }
}

fn bind(option: &'static str, address: SocketAddr) -> Result<TcpListener, Failure> {
    accept::listen(address).map_err(|reason| Failure::Listen {
        option,
        address,
        reason,
    })
}

/// Where it listens.
#[derive(Debug)]
pub struct Listeners {
    /// For agents, and for questions.
    pub grpc: TcpListener,
    /// For browsers, if there is to be a page.
    pub web: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(grpc: TcpListener) -> Self {
        Self { grpc, web: None }
    }
}

/// Serves agents, questions and pages from `store`, until `shutdown` is cancelled.
///
/// # Errors
/// If certificates cannot be used, or the store or the server fail.
pub async fn serve<S: Store>(
    listeners: impl Into<Listeners>,
    store: S,
    settings: Settings,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let Settings {
        store_name,
        heartbeat_interval,
        max_connections,
        max_connection_age,
        drain,
        keep,
        auth,
        nodes,
        policy,
        exports,
        kubernetes,
        metrics,
    } = settings;
    let Listeners { grpc, web } = listeners.into();
    // What runs beside the server ends when this does.
    let over = CancellationToken::new();
    let _ends = over.clone().drop_guard();
    let auth = match auth {
        Some(options) => Some(Arc::new(Auth::start(options, &over).await?)),
        None => None,
    };
    let mandates = policy::start(policy, over.clone()).await?;
    let has_policy = matches!(mandates, Mandates::Of(_));
    let own: Arc<Own> = Arc::default();
    let store = Arc::new(Timed::new(store, Arc::clone(&own)));
    let refusals: Arc<Refusals> = Arc::default();
    let mut exports = Exports::start(&exports, &store, &store_name)?;
    let exported = exports.progress();
    let mut kubernetes = Kubernetes::start(&kubernetes, &store, &store_name).await?;
    let counting = metrics.as_ref().map(|metrics| metrics.max_series);
    let counting = counting.map(|most| Arc::new(Counting::new(most)));
    let known = Arc::new(Known {
        authenticated: auth.is_some(),
        refusals: Arc::clone(&refusals),
        exports: exported.clone(),
        kubernetes: kubernetes.counts(),
        counting: counting.clone(),
    });
    let rules = Rules {
        heartbeat_interval,
        max_age: max_connection_age,
        drain,
    };
    let ingest = Ingest::new(
        Arc::clone(&store),
        rules,
        Arc::clone(&refusals),
        Arc::clone(&own),
        kubernetes.names(),
        shutdown.clone(),
    );
    let agents = AgentIngestServer::new(ingest.clone());
    let expected = fleet::start(nodes, over.clone()).await?;
    let asked = archtrace_query::Settings {
        store_name,
        heartbeat_interval,
        server: known,
        expected: Arc::clone(&expected),
        mandates,
        idle: None,
        shutdown: shutdown.clone(),
    };
    let query = Query::new(Arc::clone(&store), asked);
    let (places, requests) = (Places::new(max_connections), Requests::new());
    if let (Some(metrics), Some(counting)) = (metrics, counting) {
        let page = Fleet {
            query: query.clone(),
            own,
            requests: requests.clone(),
            refusals: Arc::clone(&refusals),
            places: places.clone(),
            kubernetes: kubernetes.counts(),
            counting,
            shutdown: shutdown.clone(),
            findings: tokio::sync::Mutex::default(),
        };
        let serving = archtrace_metrics::serve(metrics.listener, Arc::new(page), over.clone());
        tokio::spawn(serving);
    }
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_serving::<AgentIngestServer<Ingest<Timed<S>>>>()
        .await;
    health.set_serving::<QueryServer<Query<Timed<S>>>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let door = Door {
        speaks: Speaks::Grpc,
        tls: auth.as_ref().map(|auth| Arc::clone(&auth.tls)),
        places,
        refusals: Arc::clone(&refusals),
    };
    let closing = CancellationToken::new();
    let roles = Roles {
        auth,
        refusals,
        room: Room::default(),
        closing: closing.clone(),
    };
    let pages = web.map(|listener| web::Pages {
        listener,
        door: door.clone(),
        roles: roles.clone(),
        query: query.clone(),
    });
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADERS)
        .layer(requests)
        .layer(roles)
        .add_service(agents)
        .add_service(QueryServer::new(query.clone()))
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(
            accept::incoming(grpc, door),
            closing.clone().cancelled_owned(),
        );
    let drained = async {
        shutdown.cancelled().await;
        // Whoever sends new agents here is told first; connections are taken in still, to tell them too.
        for service in ["", AGENTS, QUERIES] {
            health
                .set_service_status(service, ServingStatus::NotServing)
                .await;
        }
        if timeout(drain + GRACE, ingest.left()).await.is_err() {
            warn!(
                "some agents' streams did not end in time; what they sent is stored or comes again"
            );
        }
        closing.cancel();
        sleep(GRACE).await;
    };
    let beats = async {
        let late = async {
            over.cancelled().await;
            sleep(GRACE).await;
        };
        tokio::select! {
            () = ingest.store_heartbeats(over.clone()) => {}
            () = late => warn!("the last heartbeats were not stored"),
        }
    };
    let served = async {
        let ended = tokio::select! {
            ended = server => ended.map_err(Failure::from),
            () = drained => {
                warn!("ended although some answers were not complete after {GRACE:?}");
                Ok(())
            }
            error = store.failed() => Err(Failure::Store(error)),
            () = retention::run(&*store, keep, &exported) => Ok(()),
            what = exports.ended() => Err(Failure::Exporting(what)),
            what = kubernetes.ended() => Err(Failure::Watching(what)),
            () = machines::run(&*store, &*expected) => Ok(()),
            () = coverage::run(query, Arc::clone(&store), shutdown.clone()), if has_policy => Ok(()),
        };
        over.cancel();
        ended
    };
    let pages = async {
        if let Some(pages) = pages {
            pages.serve(shutdown.clone(), over.clone()).await;
        }
    };
    let (ended, (), ()) = tokio::join!(served, beats, pages);
    ended
}

/// Names of services, as health checks know them.
const AGENTS: &str = "archtrace.v1.AgentIngest";
const QUERIES: &str = "archtrace.v1.Query";
