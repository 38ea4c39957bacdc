//! The server, on a thread of its own.

use std::hash::Hash;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use archtrace_proto::FILE_DESCRIPTOR_SET;
use archtrace_proto::v1::query_server::QueryServer;
use archtrace_query::{Mandates, Open, Query, Seen, Settings};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::connections;
use super::read::Node;
use super::socket::{Socket, SocketError, SocketFile};

/// What is kept in memory for the next question is dropped after so long without one.
const IDLE: Duration = Duration::from_secs(60);

/// Answering takes little stack; what is not touched costs nothing.
const STACK: usize = 512 * 1024;

/// Of an agent that answers for itself: it is there, or it does not answer.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// One node cannot tell for all on which an agent has to run.
const NOBODY: Mandates = Mandates::Nobody(
    "an agent answers for its own node and knows of no policy: ask a collector that was started with \
     --policy FILE, by --server URL instead of --socket",
);

/// For the beginning of an answer, whatever its asker says.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection that is not used any more, by somebody who forgot it, gives its place to another.
/// Programs that follow connect again.
const CONNECTION_AGE: Duration = Duration::from_secs(3600);
const CONNECTION_GRACE: Duration = Duration::from_secs(10);

/// Questions at once on one connection.
const STREAMS: u32 = 16;

/// How long the end of the agent may wait for answers that are being written.
const END: Duration = Duration::from_secs(1);

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
    _file: SocketFile,
}

/// Starts the thread.
pub(super) fn start<C>(socket: Socket, node: Arc<Node<C>>) -> Result<Server, SocketError>
where
    C: Copy + Eq + Hash + Send + 'static,
{
    let Socket { listener, file } = socket;
    let failed = |reason| SocketError::Failed {
        what: "cannot start to answer",
        reason,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let thread = std::thread::Builder::new()
        .name("local".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            let served = runtime.block_on(serve(listener, node, stopped));
            if let Err(error) = served {
                tracing::error!(%error, "nobody is answered on this node any more");
            }
            runtime.shutdown_timeout(Duration::ZERO);
        })
        .map_err(failed)?;
    Ok(Server {
        stop,
        thread: Some(thread),
        _file: file,
    })
}

async fn serve<C>(
    listener: std::os::unix::net::UnixListener,
    node: Arc<Node<C>>,
    stop: CancellationToken,
) -> Result<(), io::Error>
where
    C: Copy + Eq + Hash + Send + 'static,
{
    let listener = UnixListener::from_std(listener)?;
    let settings = Settings {
        store_name: "agent".to_owned(),
        heartbeat_interval: HEARTBEAT,
        server: Arc::new(Open),
        expected: Arc::new(Seen::default()),
        mandates: NOBODY,
        idle: Some(IDLE),
        shutdown: stop.clone(),
    };
    let query = QueryServer::new(Query::new(Arc::clone(&node), settings));
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<QueryServer<Query<Node<C>>>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(io::Error::other)?;
    let server = tonic::transport::Server::builder()
        .timeout(ANSWER_TIMEOUT)
        .max_concurrent_streams(STREAMS)
        .max_connection_age(CONNECTION_AGE)
        .max_connection_age_grace(CONNECTION_GRACE)
        .add_service(query)
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(
            connections::accept(listener),
            stop.clone().cancelled_owned(),
        );
    let ended = async {
        stop.cancelled().await;
        tokio::time::sleep(END).await;
    };
    tokio::select! {
        served = server => served.map_err(io::Error::other),
        () = ended => Ok(()),
        never = tidy(&node) => match never {},
    }
}

/// Drops the copy of what the agent holds when nobody has asked for a while: longer than the service
/// keeps its own, which is made of it.
async fn tidy<C>(node: &Node<C>) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(IDLE).await;
        node.tidy(IDLE * 2);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that answers on this node has panicked");
        }
    }
}
