//! One connection, and who is at its other end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::auth::{Caller, certificate};

/// How long a peer may take for its first request that is let in.
const FIRST_REQUEST: Duration = Duration::from_secs(30);

/// How long a peer may leave unread what is written to it: else it is kept for as long as the peer likes. A page of
/// some hundred kB takes less by any line.
const UNREAD: Duration = Duration::from_secs(60);

/// What the server reads and writes.
#[derive(Debug)]
pub(crate) struct Connection {
    io: Io,
    peer: Peer,
    /// Until the first request that is let in.
    patience: Option<Pin<Box<Sleep>>>,
    /// While something is written that was not read, until it has to be: all of it, or one who reads a byte now and
    /// then would be waited for.
    unread: Option<Pin<Box<Sleep>>>,
    /// Its place among `--max-connections`.
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What is written to, of either kind.
type Written = dyn AsyncWrite + Unpin;

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

    /// Notes that something was asked by somebody who may.
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
            unread: None,
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

    /// One step of writing, which fails if the peer has not read for too long.
    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        step: impl FnOnce(Pin<&mut Written>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let stepped = match &mut self.io {
            Io::Plain(io) => step(Pin::new(io), cx),
            Io::Tls(io) => step(Pin::new(io), cx),
        };
        if stepped.is_ready() {
            return stepped;
        }
        let until = || Box::pin(sleep(UNREAD));
        ready!(self.unread.get_or_insert_with(until).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "what was written was not read",
        )))
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
                "nothing was asked on this connection by anybody who may",
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
        self.write(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper and h2 flush once all that they have is written.
        ready!(self.write(cx, AsyncWrite::poll_flush))?;
        self.unread = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, AsyncWrite::poll_shutdown)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }
}

/// A connection, and the peer's end of it.
#[cfg(test)]
pub(crate) async fn connected() -> (Connection, TcpStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("binds");
    let address = listener.local_addr().expect("an address");
    let peer = TcpStream::connect(address).await.expect("connects");
    let (stream, address) = listener.accept().await.expect("accepts");
    let room = Arc::new(tokio::sync::Semaphore::new(1));
    let place = room.try_acquire_owned().expect("a place");
    (Connection::plain(stream, address, place), peer)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    /// More than the system takes in for one who does not read.
    const MUCH: usize = 64 << 20;

    async fn write(connection: &mut Connection) -> io::Result<()> {
        connection.write_all(&vec![0; MUCH]).await?;
        connection.flush().await
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_not_waited_for() {
        let (mut connection, _peer) = connected().await;
        let begun = Instant::now();
        let error = write(&mut connection).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        assert!(begun.elapsed() >= UNREAD, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn nor_who_reads_a_little_now_and_then() {
        let (mut connection, mut peer) = connected().await;
        let reading = async {
            let mut some = vec![0; 64 << 10];
            loop {
                sleep(UNREAD / 4).await;
                peer.read_exact(&mut some).await.expect("there is more");
            }
        };
        tokio::select! {
            written = write(&mut connection) => {
                let error = written.expect_err("most is not read");
                assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
            }
            _ = reading => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_all_may_take_as_long_as_it_likes_between() {
        let (mut connection, mut peer) = connected().await;
        for _ in 0..3 {
            let mut all = vec![0; MUCH];
            let reading = async {
                sleep(UNREAD / 2).await;
                peer.read_exact(&mut all).await
            };
            let (written, read) = tokio::join!(write(&mut connection), reading);
            written.expect("it is read");
            read.expect("it is there");
        }
    }
}
