//! Takes what agents report, keeps it, and answers questions about all nodes.
//!
//! ```text
//! agents ── AgentIngest ──> ingest ──> store <── query <── Query ── archtrace, web, exports
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`args`] | options, and which exit code says what |
//! | [`serve`] | the wiring: one server, everything ends with it |
//! | [`ingest`] | one stream per agent: order, acknowledgements, resynchronisation |
//! | [`store`] | what is kept, behind one trait; SQLite |
//! | [`query`] | filters, pages, limits |
//!
//! What must not happen here: `ingest` and `query` know nothing of SQL; `store` knows nothing of
//! gRPC; nobody looks into protobuf messages beyond their outermost layer, which
//! `archtrace_proto::convert` turns into domain types and checks.
#![forbid(unsafe_code)]

pub mod args;
pub mod ingest;
pub mod query;
pub mod serve;
pub mod store;
