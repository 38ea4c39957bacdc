//! Takes what agents report, keeps it, and answers questions about all nodes.
//!
//! ```text
//! agents ── AgentIngest ──> ingest ──> store <── archtrace_query <── Query ── archtrace, web, exports
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`args`] | options, and which exit code says what |
//! | [`serve`] | the wiring: one server, everything ends with it |
//! | `accept` | connections: so many, in time, and only those that speak the right protocol |
//! | [`auth`] | who peers are, and what they may do |
//! | [`fleet`] | which nodes should report |
//! | [`policy`] | which agents have to run |
//! | `coverage` | notes how it is with them, and since when |
//! | `watched` | a file that people change while the collector runs |
//! | `ending` | ends answers that would go on for ever |
//! | [`exports`] | which exports there are, and what they could not pass on in time |
//! | [`kubernetes`] | what pods belong to, and Events about what happened in them |
//! | [`ingest`] | one stream per agent: order, acknowledgements, resynchronisation |
//! | [`metrics`] | what Prometheus is told |
//! | [`refusals`] | what was refused, counted by reason and logged once |
//! | `retention` | lets the store forget what is old |
//! | `web` | the page's connections; who may see it, as for questions |
//! | [`store`] | what is kept, behind one trait; SQLite, PostgreSQL |
//!
//! What must not happen here: `ingest` knows nothing of SQL; `store` knows nothing of
//! gRPC; nobody looks into protobuf messages beyond their outermost layer, which
//! `archtrace_proto::convert` turns into domain types and checks.
#![forbid(unsafe_code)]

mod accept;
pub mod args;
pub mod auth;
mod coverage;
mod ending;
pub mod exports;
pub mod fleet;
pub mod ingest;
pub mod kubernetes;
mod limiter;
pub mod metrics;
pub mod policy;
pub mod refusals;
mod retention;
pub mod serve;
pub mod store;
mod watched;
mod web;
