//! The style sheet and the script: part of the program, so that nothing comes from elsewhere.

use axum::Router;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// How long browsers may keep them: a page never waits for them twice, and soon after an upgrade they
/// fit the pages again.
const KEPT: &str = "private, max-age=300";

const FILES: [(&str, &str, &str); 3] = [
    (
        "/assets/style.css",
        "text/css; charset=utf-8",
        include_str!("../assets/style.css"),
    ),
    (
        "/assets/live.js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/live.js"),
    ),
    (
        "/assets/icon.svg",
        "image/svg+xml",
        include_str!("../assets/icon.svg"),
    ),
];

pub(crate) fn router() -> Router {
    FILES.into_iter().fold(Router::new(), |router, file| {
        let (path, kind, text) = file;
        let answer = move || async move { ([(CONTENT_TYPE, kind), (CACHE_CONTROL, KEPT)], text) };
        router.route(path, get(answer))
    })
}
