//! The collector's page: what a fleet runs, read-only, for people with a browser.
//!
//! ```text
//! browser ── GET ──> guard ──> pages ──> archtrace_query (the functions that answer gRPC) ──> store
//!                                └────> view ──> templates
//! ```
//!
//! | module | what |
//! |---|---|
//! | `guard` | what is answered at all: hosts, methods, sizes, how many at once; headers of every answer |
//! | `pages` | one page each: asks, and hands over to a template |
//! | `view` | what pages show, from what was answered: pure, sorted, cut |
//! | `link` | addresses of pages; every view has one |
//! | `live` | events as they come in, as Server-Sent Events |
//! | `trouble` | what is shown where there is no answer |
//! | `assets` | the style sheet, and the one script |
//!
//! What must not happen here: a decision about facts, or about who may read (whoever serves this decides
//! that for each request, as for gRPC); state; a change of anything; a word of the request in an answer:
//! what is shown comes from the store, and addresses from what is shown.
#![forbid(unsafe_code)]

mod assets;
mod guard;
mod link;
mod live;
mod pages;
mod trouble;
mod view;

use archtrace_query::{Query, Read};
use axum::Router;
use axum::routing::get;

pub use guard::Hosts;
pub use trouble::refused;

/// Every page, for whoever may read.
pub fn router<S: Read>(query: Query<S>, hosts: Hosts) -> Router {
    Router::new()
        .route(link::FLEET, get(pages::fleet::<S>))
        .route(link::FINDINGS, get(pages::findings::<S>))
        .route(link::EMULATED, get(pages::emulated::<S>))
        .route(link::WORKLOADS, get(pages::workloads::<S>))
        .route(link::WORKLOAD, get(pages::workload::<S>))
        .route(link::NODES, get(pages::nodes::<S>))
        .route(link::NODE, get(pages::node::<S>))
        .route(link::COVERAGE, get(pages::coverage::all::<S>))
        .route(link::COVERED, get(pages::coverage::nodes::<S>))
        .route(link::EVENTS, get(pages::events::<S>))
        .route(link::LIVE, get(live::events::<S>))
        .with_state(query)
        .merge(assets::router())
        .fallback(trouble::no_such_page)
        .method_not_allowed_fallback(trouble::no_such_method)
        .layer(axum::middleware::from_fn_with_state(
            guard::Guard::new(hosts),
            guard::guard,
        ))
}
