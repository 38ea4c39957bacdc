//! A port of its own, for Prometheus and for the kubelet's probes: plain HTTP/1.1, and no secrets.
//!
//! Anybody in the cluster may come. So each connection answers one request and ends, there are only so many
//! at once, and all of it has a deadline; a page is made for one at a time. Where there are too many, whoever
//! has not asked for anything yet makes room: the kubelet waits for a second, and ends what does not answer it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Connections at once: a few scrapers, and probes that do not wait for them. Each takes some 10 kB.
const MOST: usize = 32;

/// How long a connection may last, answer included: Prometheus waits 10 s unless told otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// How long a page may take to be made, so that there is time left to say that it took too long.
const PAGE_WITHIN: Duration = Duration::from_secs(8);

/// Bytes of a request: there is nothing to tell in one. The least that hyper takes.
const REQUEST: usize = 8192;

/// After an error such as too many open files, which does not pass at once.
const PAUSE: Duration = Duration::from_millis(500);

/// What OpenMetrics calls itself.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What there is to tell.
pub trait Page: Send + Sync + 'static {
    /// All numbers, as [`crate::Sheet::into_text`] makes them.
    fn metrics(&self) -> impl Future<Output = String> + Send;

    /// Whether it does what it is for.
    ///
    /// # Errors
    /// Why it does not.
    fn ready(&self) -> Result<(), String>;
}

struct Shared<P> {
    page: Arc<P>,
    turn: Mutex<()>,
}

/// Listens for whoever scrapes.
///
/// # Errors
/// The system's, where the address is taken or not ours.
pub async fn listen(address: SocketAddr) -> std::io::Result<Arc<TcpListener>> {
    TcpListener::bind(address).await.map(Arc::new)
}

/// Answers until it is over.
pub async fn serve<P: Page>(listener: Arc<TcpListener>, page: Arc<P>, over: CancellationToken) {
    let shared = Arc::new(Shared {
        page,
        turn: Mutex::new(()),
    });
    let mut open = VecDeque::with_capacity(MOST);
    loop {
        let Some(accepted) = over.run_until_cancelled(listener.accept()).await else {
            return;
        };
        match accepted {
            Ok((stream, address)) => {
                make_room(&mut open);
                let (shared, asks) = (Arc::clone(&shared), Arc::new(AtomicBool::new(false)));
                let has_asked = Arc::clone(&asks);
                let task = tokio::spawn(async move {
                    if let Err(error) = answer(stream, shared, &asks).await {
                        debug!(%address, error, "a connection for metrics ended");
                    }
                });
                open.push_back((has_asked, task.abort_handle()));
            }
            Err(error) => {
                warn!(%error, "cannot take a connection for metrics");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Ends one connection if there are as many as there may be: the oldest that has not asked yet, else the oldest.
fn make_room(open: &mut VecDeque<(Arc<AtomicBool>, AbortHandle)>) {
    open.retain(|(_, task)| !task.is_finished());
    if open.len() < MOST {
        return;
    }
    let silent = open
        .iter()
        .position(|(has_asked, _)| !has_asked.load(Ordering::Relaxed));
    if let Some((_, task)) = open.remove(silent.unwrap_or(0)) {
        task.abort();
    }
}

async fn answer<P: Page>(
    stream: TcpStream,
    shared: Arc<Shared<P>>,
    has_asked: &AtomicBool,
) -> Result<(), String> {
    let service = service_fn(move |request: Request<Incoming>| {
        has_asked.store(true, Ordering::Relaxed);
        let shared = Arc::clone(&shared);
        async move {
            let (head, _) = request.into_parts();
            Ok::<_, Infallible>(respond(&head.method, head.uri.path(), &shared).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(WITHIN)
        .max_buf_size(REQUEST)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(WITHIN, connection).await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it took more than {WITHIN:?}")),
    }
}

async fn respond<P: Page>(
    method: &Method,
    path: &str,
    shared: &Shared<P>,
) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refused = say(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        let allowed = header::HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(header::ALLOW, allowed);
        return refused;
    }
    match path {
        "/metrics" => metrics(shared).await,
        // Whoever reads this knows that the process turns its loop: that it lives is all there is to say.
        "/healthz" => say(StatusCode::OK, "ok\n"),
        "/readyz" => match shared.page.ready() {
            Ok(()) => say(StatusCode::OK, "ok\n"),
            Err(why) => say(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        "/" => say(StatusCode::OK, "archtrace: /metrics /healthz /readyz\n"),
        _ => say(
            StatusCode::NOT_FOUND,
            "there are /metrics, /healthz and /readyz\n",
        ),
    }
}

async fn metrics<P: Page>(shared: &Shared<P>) -> Response<Full<Bytes>> {
    let page = async {
        let _turn = shared.turn.lock().await;
        shared.page.metrics().await
    };
    let Ok(text) = timeout(PAGE_WITHIN, page).await else {
        return say(
            StatusCode::SERVICE_UNAVAILABLE,
            "the numbers were not there in time\n",
        );
    };
    let mut response = say(StatusCode::OK, text);
    let kind = header::HeaderValue::from_static(OPEN_METRICS);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn say(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct Fixed(bool);

    impl Page for Fixed {
        async fn metrics(&self) -> String {
            "# EOF\n".to_owned()
        }

        fn ready(&self) -> Result<(), String> {
            self.0
                .then_some(())
                .ok_or_else(|| "not yet: loading".to_owned())
        }
    }

    async fn start(ready: bool) -> (SocketAddr, tokio_util::sync::DropGuard) {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = listen(any).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let over = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::new(Fixed(ready)), over.clone()));
        (address, over.drop_guard())
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(request.as_bytes()).await.expect("is read");
        let mut answer = Vec::new();
        // A connection that was cut off says nothing.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn each_path_has_its_answer() {
        let (ready, _one) = start(true).await;
        let (loading, _other) = start(false).await;
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
        for (address, request, status, said) in [
            (ready, "GET /metrics HTTP/1.1", "200", "\r\n\r\n# EOF\n"),
            (ready, "GET /metrics?x=1 HTTP/1.1", "200", OPEN_METRICS),
            (ready, "HEAD /metrics HTTP/1.1", "200", "content-length: 6"),
            (ready, "GET /healthz HTTP/1.1", "200", "ok"),
            (loading, "GET /healthz HTTP/1.1", "200", "ok"),
            (ready, "GET /readyz HTTP/1.1", "200", "ok"),
            (loading, "GET /readyz HTTP/1.1", "503", "not yet: loading"),
            (ready, "GET / HTTP/1.1", "200", "/metrics"),
            (ready, "GET /etc/passwd HTTP/1.1", "404", "there are"),
            (ready, "POST /metrics HTTP/1.1", "405", "allow: GET, HEAD"),
            (ready, "no HTTP at all", "400", ""),
            (ready, &long, "431", ""),
        ] {
            let answer = ask(address, &format!("{request}\r\nhost: a\r\n\r\n")).await;
            let start = answer.chars().take(60).collect::<String>();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{start}");
            assert!(answer.contains(said), "{request}: {answer}");
        }
        let head = ask(ready, "HEAD /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(head.ends_with("\r\n\r\n"), "{head}");
    }

    #[tokio::test]
    async fn who_says_nothing_does_not_keep_others_out() {
        let (address, _guard) = start(true).await;
        let mut silent = Vec::new();
        for _ in 0..2 * MOST {
            silent.push(TcpStream::connect(address).await.expect("connects"));
        }
        // The kubelet waits for a second; a machine with much to do is slower.
        let request = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
        let answer = timeout(WITHIN / 2, ask(address, request)).await;
        let answer = answer.expect("an answer in time");
        assert!(answer.ends_with("ok\n"), "{answer}");
    }
}
