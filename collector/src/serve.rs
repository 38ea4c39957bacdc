//! The wiring: one server, and everything ends with it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use archtrace_proto::FILE_DESCRIPTOR_SET;
use archtrace_proto::v1::agent_ingest_server::AgentIngestServer;
use archtrace_proto::v1::query_server::QueryServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tracing::{info, warn};

use crate::args::{Args, StoreUrl};
use crate::ingest::{Ingest, MAX_MESSAGE_BYTES};
use crate::query::Query;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};

/// A connection that does not answer a ping within [`KEEPALIVE_TIMEOUT`] is closed: an agent's node
/// may vanish without a word.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Streams are told to end at once; answers that are being built get this long.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the collector ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {reason}; choose another with --listen ADDR")]
    Listen {
        /// What `--listen` said.
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
            Self::Server(_) | Self::Reflection(_) | Self::Store(_) => 1,
            Self::Listen { .. } => 3,
            Self::Open(_) => 4,
        }
    }
}

/// Runs the collector until `shutdown` is cancelled.
///
/// # Errors
/// If it cannot start, or the store or the server fail.
pub async fn run(args: Args, shutdown: CancellationToken) -> Result<(), Failure> {
    let Args {
        listen,
        store,
        insecure_plaintext: _,
        heartbeat_interval,
        log: _,
    } = args;
    // First the address: whoever loses a race for it must not have touched the winner's store.
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|reason| Failure::Listen {
            address: listen,
            reason,
        })?;
    let StoreUrl::Sqlite(path) = store;
    let opened = open(&path)?;
    let name = format!("sqlite:{}", path.display());
    let address = listener.local_addr().unwrap_or(listen);
    info!(%address, store = name, version = env!("CARGO_PKG_VERSION"), "listening");
    warn!("development mode: plaintext, and every peer may report and read");
    serve(listener, opened, name, heartbeat_interval, shutdown).await
}

fn open(path: &Path) -> Result<SqliteStore, Failure> {
    SqliteStore::open(path).map_err(Failure::Open)
}

/// Serves agents and questions on `listener` from `store`, until `shutdown` is cancelled.
///
/// # Errors
/// If the store or the server fail.
pub async fn serve<S: Store>(
    listener: TcpListener,
    store: S,
    store_name: String,
    heartbeat_interval: Duration,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let store = Arc::new(store);
    let ingest = Ingest::new(Arc::clone(&store), heartbeat_interval, shutdown.clone());
    let ingest = AgentIngestServer::new(ingest).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let query = Query::new(Arc::clone(&store), store_name, heartbeat_interval);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<AgentIngestServer<Ingest<S>>>().await;
    health.set_serving::<QueryServer<Query<S>>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(ingest)
        .add_service(QueryServer::new(query))
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(
            // Acknowledgements are small, and agents wait for them.
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown.clone().cancelled_owned(),
        );
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = server => ended?,
        () = drained => warn!("ended although some answers were not complete after {DRAIN:?}"),
        error = store.failed() => return Err(Failure::Store(error)),
    }
    Ok(())
}
