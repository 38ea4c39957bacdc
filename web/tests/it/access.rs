//! Who gets a page, and what becomes of everybody else.

use std::time::Duration;

use hyper::{Method, Request, StatusCode};

use crate::http::{self, Page, ask, ask_over, get, request};
use crate::server::Server;

/// A word that no page has by itself.
const WORD: &str = "xyzzy";

fn check(what: &str, page: &Page, status: StatusCode) {
    assert_eq!(page.status, status, "{what}: {}", page.text);
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{what}: {policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), value, "{what}");
    }
    assert!(!page.text.contains(WORD), "{what}: it repeats the request");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_or_refused_and_never_repeated() {
    let server = Server::start().await;
    let long = format!("/?{}", WORD.repeat(1000));
    for (path, status) in [
        ("/", StatusCode::OK),
        ("/?xyzzy=xyzzy", StatusCode::OK),
        ("/xyzzy", StatusCode::NOT_FOUND),
        ("/assets/../xyzzy", StatusCode::NOT_FOUND),
        ("/emulated?page=xyzzy", StatusCode::BAD_REQUEST),
        ("/findings?least=xyzzy", StatusCode::BAD_REQUEST),
        ("/nodes?after=xyzzy", StatusCode::BAD_REQUEST),
        ("/coverage?by=xyzzy", StatusCode::BAD_REQUEST),
        ("/coverage/nodes?status=xyzzy", StatusCode::BAD_REQUEST),
        ("/coverage/nodes?arch=xyzzy", StatusCode::BAD_REQUEST),
        ("/coverage/nodes?after=xyzzy", StatusCode::BAD_REQUEST),
        ("/coverage/nodes?agent=xyzzy", StatusCode::NOT_FOUND),
        ("/coverage/nodes?agent=*", StatusCode::NOT_FOUND),
        ("/coverage/nodes?cluster=xyzzy", StatusCode::NOT_FOUND),
        ("/events?kind=xyzzy", StatusCode::BAD_REQUEST),
        ("/events?after=0-0-0-0-0", StatusCode::BAD_REQUEST),
        ("/events/live?since=xyzzy", StatusCode::BAD_REQUEST),
        ("/node?name=xyzzy", StatusCode::NOT_FOUND),
        ("/node", StatusCode::NOT_FOUND),
        ("/workload?name=xyzzy", StatusCode::NOT_FOUND),
        ("/workload?cluster=prod", StatusCode::NOT_FOUND),
        (
            "/workload?cluster=prod&namespace=*&name=*",
            StatusCode::NOT_FOUND,
        ),
        (&long, StatusCode::BAD_REQUEST),
    ] {
        check(path, &ask(server.address, get(path)).await, status);
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let page = ask(server.address, request(method.clone(), "/", WORD)).await;
        check(method.as_str(), &page, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(page.header("allow"), "GET,HEAD");
    }
    let head = ask(server.address, request(Method::HEAD, "/nodes", "")).await;
    check("HEAD", &head, StatusCode::OK);
    assert_eq!(head.text, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_it_answers_to_this_machines_names_only() {
    let server = Server::start().await;
    let by = |host: &str| {
        let request = Request::get("/").header("host", host);
        request.body(Default::default()).expect("a request")
    };
    let here = ask(server.address, by(&server.address.to_string())).await;
    check("an address", &here, StatusCode::OK);
    let rebound = ask(server.address, by("xyzzy.example")).await;
    check("another name", &rebound, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_only_readers_get_pages() {
    let server = Server::with_tls().await;
    let certificates = server.certificates();
    for protocol in ["http/1.1", "h2"] {
        for (shows, status) in [
            (None, StatusCode::UNAUTHORIZED),
            (Some("node-n1"), StatusCode::FORBIDDEN),
            (Some("reader"), StatusCode::OK),
        ] {
            let config = http::tls(&certificates, shows, protocol);
            for path in ["/", "/events", "/assets/style.css", "/xyzzy"] {
                let status = match (status, path) {
                    (StatusCode::OK, "/xyzzy") => StatusCode::NOT_FOUND,
                    _ => status,
                };
                let path = if protocol == "h2" {
                    format!("https://collector.example{path}")
                } else {
                    path.to_owned()
                };
                let config = std::sync::Arc::clone(&config);
                let page = ask_over(config, server.address, get(&path)).await;
                check(&format!("{shows:?} {protocol} {path}"), &page, status);
            }
        }
    }
    // This collector knows no token.
    let mut with_token = get("/");
    let token = "Bearer xyzzy".parse().expect("a header");
    with_token.headers_mut().insert("authorization", token);
    let config = http::tls(&certificates, None, "http/1.1");
    let page = ask_over(config, server.address, with_token).await;
    check("a token", &page, StatusCode::UNAUTHORIZED);
    assert_eq!(page.header("www-authenticate"), "Bearer");
    // No TLS at all.
    let page = ask(server.address, get("/")).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.text.contains("https"), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_the_collector_although_somebody_follows() {
    let server = Server::start().await;
    let follows = http::begin(server.address, get("/events/live")).await;
    assert_eq!(follows.status(), StatusCode::OK);
    server.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(60), server.serving).await;
    ended
        .expect("in time")
        .expect("no panic")
        .expect("in order");
}
