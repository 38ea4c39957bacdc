//! Many agents that are none: real connections, real messages and the code that real agents report by,
//! over nodes that are made up. For tests and benchmarks of collectors; never part of a product.
//!
//! ```text
//! plan ──> node ──> agent (archtrace_sink) ──> [proxy] ──> collector
//!            └──> ledger ─────────────── check <── query ──┘
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | what runs where; follows from a seed |
//! | [`node`] | what a node's kernel and runtime would show |
//! | [`ledger`] | what was produced, to be compared in the end |
//! | [`agent`], [`fleet`] | one agent; many, and what happens to them |
//! | [`targets`] | the collectors that they report to |
//! | [`raw`], [`odd`] | the protocol by hand; agents that misbehave |
//! | [`proxy`], [`collector`] | a way to a collector that can be cut; one that can be killed |
//! | [`query`], [`check`] | what a collector has, compared with the ledgers |
//! | [`args`], [`run`], [`limits`] | the program `archtrace-sim` |
//! | [`mod@bench`], [`figures`] | what a collector costs, as the fleet grows |
#![forbid(unsafe_code)]

pub mod agent;
pub mod args;
pub mod bench;
pub mod check;
pub mod collector;
pub mod figures;
pub mod fleet;
pub mod ledger;
pub mod limits;
pub mod node;
pub mod odd;
pub mod plan;
pub mod proxy;
pub mod query;
pub mod random;
pub mod raw;
pub mod run;
pub mod targets;
