//! What is answered at all, and with which headers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::trouble::Trouble;

/// Pages that are made at once; others wait for their turn. Each takes some ten milliseconds of
/// computing and some MB, and ingest goes on beside them.
const AT_ONCE: usize = 8;

/// How long a page may take, its turn included. What is followed live begins within it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of an address behind its `?`: Kubernetes' names are 253 at most, and page tokens some hundred.
const MAX_QUERY: usize = 4096;

/// Which names this server may be asked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Any: who asks is known by certificates or tokens, or the network is trusted.
    Any,
    /// Those of this machine. Nobody is asked who they are, and a page from elsewhere must not get a
    /// browser to read this one by a name of its own that it lets point here (DNS rebinding).
    ThisMachine,
}

impl Hosts {
    fn allow(self, uri: &Uri, headers: &HeaderMap) -> bool {
        if self == Self::Any {
            return true;
        }
        // HTTP/2 has it in the address, HTTP/1.1 in a header.
        let header = || headers.get(header::HOST)?.to_str().ok()?.parse().ok();
        let authority = uri.authority().cloned().or_else(header);
        authority.is_some_and(|authority: http::uri::Authority| is_here(authority.host()))
    }
}

fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback)
}

#[derive(Clone, Debug)]
pub(crate) struct Guard {
    hosts: Hosts,
    turns: Arc<Semaphore>,
}

impl Guard {
    pub(crate) fn new(hosts: Hosts) -> Self {
        Self {
            hosts,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

/// Answers, or says why not.
pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let response = if !guard.hosts.allow(request.uri(), request.headers()) {
        Trouble::OtherHost.into_response()
    } else if query.len() > MAX_QUERY {
        Trouble::Nonsense.into_response()
    } else {
        let answer = async {
            // Closed never.
            let _turn = guard.turns.acquire().await;
            next.run(request).await
        };
        let late = |_| Trouble::Busy.into_response();
        timeout(PATIENCE, answer).await.unwrap_or_else(late)
    };
    protected(response)
}

/// Only what this server itself sends may be used, by nobody else, and nothing is kept.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

/// The answer, with the headers that every one has. What it says of how long it may be kept holds.
pub(crate) fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, allowed: bool) {
        let uri = Uri::from_static("/");
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("a header"));
        let hosts = Hosts::ThisMachine;
        assert_eq!(hosts.allow(&uri, &headers), allowed, "{host}");
        assert!(Hosts::Any.allow(&uri, &headers));
        // As HTTP/2 has it.
        if let Ok(uri) = format!("http://{host}/").parse() {
            assert_eq!(hosts.allow(&uri, &HeaderMap::new()), allowed, "{host}");
        }
    }

    #[test]
    fn without_credentials_only_this_machines_names_are_answered() {
        for host in [
            "localhost",
            "LocalHost:50080",
            "127.0.0.1:50080",
            "127.1.2.3",
            "[::1]:50080",
            "[::ffff:127.0.0.1]",
        ] {
            check(host, true);
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:50080",
            "10.0.0.1",
            "[::2]:1",
        ] {
            check(host, false);
        }
        assert!(!Hosts::ThisMachine.allow(&Uri::from_static("/"), &HeaderMap::new()));
    }
}
