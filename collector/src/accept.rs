//! Takes connections in: so many, in time, and only those that speak the right protocol.
//!
//! A connection costs memory and a file from its first byte on, and whoever opens it has said nothing
//! yet. So each step has a deadline: the first byte, TLS, the first request. How many there may be is less
//! than the files that the process may open, so that the store has some left.

mod connection;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tracing::debug;

use crate::auth::tls::Tls;
use crate::refusals::{Reason, Refusals};
#[cfg(test)]
pub(crate) use connection::connected;
pub(crate) use connection::{Connection, Peer};

/// How long a peer may take for its first byte, and for TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// TLS handshakes at once. Each is some milliseconds of computing, so that more would only make all of
/// them late when a whole fleet comes back; the others wait without a deadline.
const HANDSHAKES: usize = 256;

/// Connections that are taken in and not served yet: that many is one turn of the server.
const QUEUE: usize = 64;

/// Files of the process that are no connections: the store's, logs, what it listens on.
const OTHER_FILES: usize = 64;

/// How long it waits when the system has no file left for a connection.
const NO_FILE_WAIT: Duration = Duration::from_millis(100);

/// Connections that the system holds for us until they are taken in. Those beyond are not answered, and
/// try again after seconds: with the usual 128, a fleet that comes back takes minutes.
const BACKLOG: u32 = 4096;

/// Listens on an address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restarted collector takes its port again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// How many connections there may be, and are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    room: Arc<Semaphore>,
    most: usize,
}

impl Places {
    /// So many as were asked for, or as files allow.
    pub(crate) fn new(max_connections: usize) -> Self {
        let most = fitting(max_connections);
        let room = Arc::new(Semaphore::new(most));
        Self { room, most }
    }

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    pub(crate) fn taken(&self) -> usize {
        self.most.saturating_sub(self.room.available_permits())
    }
}

/// How connections are taken in.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) speaks: Speaks,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) places: Places,
    pub(crate) refusals: Arc<Refusals>,
}

/// What is spoken behind a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// gRPC: HTTP/2 and nothing else.
    Grpc,
    /// What browsers speak: HTTP/2, or HTTP/1.1.
    Web,
}

impl Speaks {
    /// As TLS names it (RFC 7301), the best first.
    fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::Grpc => &[b"h2"],
            Self::Web => &[b"h2", b"http/1.1"],
        }
    }

    /// For people who try it in another way.
    fn hint(self) -> &'static str {
        match self {
            Self::Grpc => "This port speaks gRPC (HTTP/2; with TLS if it has certificates).\n",
            Self::Web => "This port speaks https.\n",
        }
    }
}

struct Shared {
    speaks: Speaks,
    tls: Option<Arc<Tls>>,
    handshakes: Semaphore,
    refusals: Arc<Refusals>,
    ready: mpsc::Sender<io::Result<Connection>>,
}

/// The connections that come in, until the stream is dropped.
pub(crate) fn incoming(
    listener: TcpListener,
    door: Door,
) -> ReceiverStream<io::Result<Connection>> {
    let Door {
        speaks,
        tls,
        places,
        refusals,
    } = door;
    let (ready, stream) = mpsc::channel(QUEUE);
    let shared = Arc::new(Shared {
        speaks,
        tls,
        handshakes: Semaphore::new(HANDSHAKES),
        refusals,
        ready,
    });
    tokio::spawn(async move {
        tokio::select! {
            () = accept(&listener, &shared, &places.room) => {}
            () = shared.ready.closed() => {}
        }
    });
    ReceiverStream::new(stream)
}

fn fitting(max_connections: usize) -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    let Ok((files, _)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return max_connections;
    };
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    // Half of them where there are very few.
    let fit = files.saturating_sub(OTHER_FILES).max(files / 2);
    let room = max_connections.min(fit).min(Semaphore::MAX_PERMITS);
    if room < max_connections / 2 {
        tracing::warn!(
            room,
            max_connections,
            files,
            "far fewer connections than --max-connections: raise the limit of open files (ulimit -n, LimitNOFILE=)"
        );
    }
    room
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>, room: &Arc<Semaphore>) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                let what =
                    format!("cannot take connections in: {error}; those that are there go on");
                let who = "the system";
                shared.refusals.note(Reason::TooManyConnections, who, &what);
                // The connection stays in the listener's queue, so that the next try would fail at once.
                sleep(NO_FILE_WAIT).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(room).try_acquire_owned() else {
            let who = "all peers together";
            let what = "there are as many connections as there may be (--max-connections)";
            shared.refusals.note(Reason::TooManyConnections, who, &what);
            continue;
        };
        let shared = Arc::clone(shared);
        tokio::spawn(async move { take_in(stream, address, permit, &shared).await });
    }
}

/// Errors of a connection that ended before it was taken in (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

async fn take_in(
    stream: TcpStream,
    address: SocketAddr,
    permit: OwnedSemaphorePermit,
    shared: &Shared,
) {
    let who = address.ip().to_string();
    let refuse = |reason, what: &str| shared.refusals.note(reason, &who, &what);
    // Acknowledgements are small, and agents wait for them.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%address, %error, "the connection ended");
        return;
    }
    let mut start = [0; 24];
    let there = match timeout(HANDSHAKE, stream.peek(&mut start)).await {
        Err(_) => return refuse(Reason::Idle, "nothing was said on a connection"),
        // Probes of whether the port is open.
        Ok(Err(_) | Ok(0)) => return,
        Ok(Ok(there)) => there,
    };
    let start = &start[..there];
    let connection = match &shared.tls {
        None if start[0] == TLS_HANDSHAKE => {
            return refuse(
                Reason::Handshake,
                "TLS on a port without it; http:// reaches it, or the collector needs --tls-cert",
            );
        }
        None if shared.speaks == Speaks::Grpc && !PREFACE.starts_with(start) => {
            return no_http2(stream, shared, &who).await;
        }
        Some(_) if start[0] != TLS_HANDSHAKE => {
            let what = "plaintext on a port with TLS; https:// reaches it";
            shared.refusals.note(Reason::Handshake, &who, &what);
            return answer_http1(stream, shared.speaks).await;
        }
        None => Connection::plain(stream, address, permit),
        Some(tls) => {
            // Closed never, as long as we are here.
            let _turn = shared.handshakes.acquire().await;
            match timeout(
                HANDSHAKE,
                tls.acceptor(shared.speaks.protocols()).accept(stream),
            )
            .await
            {
                Err(_) => return refuse(Reason::Handshake, "TLS was not agreed on in time"),
                Ok(Err(error)) => {
                    return shared.refusals.note(Reason::Handshake, &who, &error);
                }
                Ok(Ok(stream)) => Connection::tls(stream, address, permit),
            }
        }
    };
    // The server ended, otherwise.
    let _ = shared.ready.send(Ok(connection)).await;
}

/// First byte of a TLS record that begins a handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// What HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn no_http2(stream: TcpStream, shared: &Shared, who: &str) {
    let what = "something else than HTTP/2 was spoken";
    shared.refusals.note(Reason::NotHttp2, who, &what);
    answer_http1(stream, shared.speaks).await;
}

/// For people who try it with a browser or curl.
async fn answer_http1(mut stream: TcpStream, speaks: Speaks) {
    const HEAD: &str =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
    // Whoever does not read it gets nothing.
    let _ = timeout(HANDSHAKE, async {
        stream.write_all(HEAD.as_bytes()).await?;
        stream.write_all(speaks.hint().as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
}
