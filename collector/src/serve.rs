//! The wiring: one server, and everything ends with it.

mod failure;
mod known;
mod settings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use archtrace_proto::FILE_DESCRIPTOR_SET;
use archtrace_proto::v1::agent_ingest_server::AgentIngestServer;
use archtrace_proto::v1::query_server::QueryServer;
use archtrace_query::service::MISSED_HEARTBEATS;
use archtrace_query::{Mandates, Query};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tracing::{info, warn};

use crate::accept::{self, Door, Places, Speaks};
use crate::args::{Args, StoreUrl};
use crate::auth::Auth;
use crate::auth::layer::Roles;
use crate::coverage;
use crate::exports::Exports;
use crate::fleet::{self, machines};
use crate::ingest::gate::Room;
use crate::ingest::{Ingest, Rules};
use crate::kubernetes::Kubernetes;
use crate::metrics::{self, Counting, Fleet, Own, Requests, Timed};
use crate::policy;
use crate::refusals::Refusals;
use crate::registry::{self, Checks};
use crate::retention;
use crate::store::Store;
use crate::store::postgres::{PATIENCE, PostgresStore};
use crate::store::sqlite::SqliteStore;
use crate::web;
pub use failure::Failure;
use known::Known;
pub use settings::Settings;

/// A connection that does not answer a ping within [`KEEPALIVE_TIMEOUT`] is closed: an agent's node
/// may vanish without a word.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes that a peer may send on a stream before they are read: 80 MB if 10,000 agents do, so that they tell
/// everything in turns (`ingest/turns.rs`); and the buffer that a connection reads into, 8 kB, never has to
/// grow. An agent that is 100 ms away still gets 80 kB/s through.
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
        keep_nodes,
        auth,
        nodes,
        policy,
        exports,
        kubernetes,
        metrics,
        registry,
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
    let checks = match registry {
        Some(options) => Some(Checks::start(options, &over).await?),
        None => None,
    };
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
        registry: checks.clone(),
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
            exports: exported.clone(),
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
    let kept = retention::Rules {
        keep,
        nodes: keep_nodes,
        expected: Arc::clone(&expected),
    };
    let silence = heartbeat_interval * MISSED_HEARTBEATS;
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
    let asked = {
        let (query, shutdown) = (query.clone(), shutdown.clone());
        async move {
            match checks {
                Some(checks) => registry::run(checks, query, shutdown).await,
                None => std::future::pending().await,
            }
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
            () = retention::run(&*store, kept, &exported) => Ok(()),
            what = exports.ended() => Err(Failure::Exporting(what)),
            what = kubernetes.ended() => Err(Failure::Watching(what)),
            () = machines::run(&*store, &*expected) => Ok(()),
            () = asked => Ok(()),
            () = coverage::run(query, Arc::clone(&store), silence, shutdown.clone()), if has_policy => Ok(()),
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
