//! The page's connections: as those of gRPC, with the same TLS, and for the same readers.
//!
//! Browsers show a reader's certificate, or come through a proxy that adds a reader's token to each
//! request. There is no session: nothing to steal, to keep, or to share between replicas.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use archtrace_query::Query;
use archtrace_web::Hosts;
use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::transport::server::Connected as _;
use tower::{ServiceExt as _, service_fn};
use tracing::debug;

use crate::accept::{self, Connection, Door, Places, Speaks};
use crate::auth::layer::Roles;
use crate::store::Store;

/// Connections of browsers at once, which open six each with HTTP/1.1.
const MAX_CONNECTIONS: usize = 512;

/// How long the head of a request may take, and a connection wait for its next one.
const HEAD: Duration = Duration::from_secs(30);

/// Bytes of the heads of a request: a token is some 1,200. hyper wants 8 kB at least.
const MAX_HEAD: u16 = 32 << 10;

/// Requests at once on one connection with HTTP/2: a page is one, what it needs three, and what happens
/// live one for each tab.
const MAX_STREAMS: u32 = 64;

/// Those who vanish without a word.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How long a connection may last: by HTTP/2 one may be there, ask, and take no answer. Events live go on for ten
/// minutes, and then browsers ask again.
const LONGEST: Duration = Duration::from_secs(3600);

/// What is being answered then may take as long.
const LAST: Duration = Duration::from_secs(30);

/// How long answers that are being made may take when the collector ends.
const GRACE: Duration = Duration::from_secs(5);

/// What serves pages.
pub(crate) struct Pages<S> {
    pub(crate) listener: TcpListener,
    /// That of gRPC, of which the page has its own.
    pub(crate) door: Door,
    pub(crate) roles: Roles,
    pub(crate) query: Query<S>,
}

impl<S: Store> Pages<S> {
    /// Serves until `over`. From `shutdown` on, connections end as soon as they are answered.
    pub(crate) async fn serve(self, shutdown: CancellationToken, over: CancellationToken) {
        let Self {
            listener,
            door,
            roles,
            query,
        } = self;
        let hosts = hosts(&roles, listener.local_addr().ok());
        let pages = archtrace_web::router(query, hosts);
        let door = Door {
            speaks: Speaks::Web,
            places: Places::new(MAX_CONNECTIONS),
            ..door
        };
        let mut connections = accept::incoming(listener, door);
        let tasks = TaskTracker::new();
        loop {
            let next = tokio::select! {
                next = connections.next() => next,
                () = over.cancelled() => break,
            };
            match next {
                Some(Ok(connection)) => {
                    let serving = one(connection, pages.clone(), roles.clone(), shutdown.clone());
                    tasks.spawn(over.clone().run_until_cancelled_owned(serving));
                }
                Some(Err(_)) => {}
                None => break,
            }
        }
        tasks.close();
        // What is left then is dropped with the runtime.
        let _ = timeout(GRACE, tasks.wait()).await;
    }
}

/// Nobody is asked who they are without TLS: then the page is for this machine, unless others were let in.
fn hosts(roles: &Roles, address: Option<SocketAddr>) -> Hosts {
    let is_loopback = |address: SocketAddr| address.ip().to_canonical().is_loopback();
    if roles.auth.is_none() && address.is_none_or(is_loopback) {
        Hosts::ThisMachine
    } else {
        Hosts::Any
    }
}

async fn one(connection: Connection, pages: Router, roles: Roles, shutdown: CancellationToken) {
    let peer = connection.connect_info();
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        answer(request.map(Body::new), pages.clone(), roles.clone())
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD.into());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD.into());
    let io = TokioIo::new(connection);
    let serving = builder.serve_connection(io, TowerToHyperService::new(answer));
    tokio::pin!(serving);
    let over = async {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(LONGEST) => {}
        }
    };
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = over => {
            serving.as_mut().graceful_shutdown();
            timeout(LAST, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = served {
        // Browsers close what they do not need.
        debug!(%error, "a browser's connection ended");
    }
}

async fn answer(
    request: Request<Body>,
    pages: Router,
    roles: Roles,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let caller = roles.reader(&head).await.and_then(|caller| {
        // A connection may last longer than the certificate that it began with.
        match caller.expires() {
            Some(end) if end <= SystemTime::now() => {
                Err(Status::unauthenticated("the credentials have expired"))
            }
            _ => Ok(caller),
        }
    });
    match caller {
        Ok(_) => pages.oneshot(Request::from_parts(head, body)).await,
        Err(status) => Ok(archtrace_web::refused(status)),
    }
}
