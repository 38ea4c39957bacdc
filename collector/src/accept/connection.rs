//! One connection, and who is at its other end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::auth::{Caller, certificate};

/// How long a peer may take for its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(30);

/// What the server reads and writes.
#[derive(Debug)]
pub(crate) struct Connection {
    io: Io,
    peer: Peer,
    /// Until the first request.
    patience: Option<Pin<Box<Sleep>>>,
    /// Its place among `--max-connections`.
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Arc<Known>);

#[derive(Debug)]
struct Known {
    address: SocketAddr,
    certificate: Option<Result<Caller, String>>,
    asked: AtomicBool,
}

impl Peer {
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Whose certificate it showed, or why that is of no use.
    pub(crate) fn certificate(&self) -> Option<&Result<Caller, String>> {
        self.0.certificate.as_ref()
    }

    /// Notes that something was asked.
    pub(crate) fn asks(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
    }
}

impl Connection {
    pub(super) fn plain(
        stream: TcpStream,
        address: SocketAddr,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self::new(Io::Plain(stream), address, None, place)
    }

    pub(super) fn tls(
        stream: TlsStream<TcpStream>,
        address: SocketAddr,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let shown = stream.get_ref().1.peer_certificates();
        let shown = shown.and_then(|chain| chain.first());
        let certificate = shown.map(|der| certificate::caller(der));
        Self::new(Io::Tls(Box::new(stream)), address, certificate, place)
    }

    fn new(
        io: Io,
        address: SocketAddr,
        certificate: Option<Result<Caller, String>>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            io,
            peer: Peer(Arc::new(Known {
                address,
                certificate,
                asked: AtomicBool::new(false),
            })),
            patience: Some(Box::pin(sleep(FIRST_REQUEST))),
            _place: place,
        }
    }

    /// Whether it was silent for too long.
    fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(patience) = &mut self.patience else {
            return false;
        };
        if self.peer.0.asked.load(Ordering::Relaxed) {
            self.patience = None;
            return false;
        }
        patience.as_mut().poll(cx).is_ready()
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_idle(cx) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "nothing was asked on this connection",
            )));
        }
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Io::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }
}
