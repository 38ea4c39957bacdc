//! The agent's side of the protocol: what is known and not yet told, and the stream that tells it.
//!
//! ```text
//! watching side ──> outbox (table of facts, owners, queue of events) ──> session ──> collector
//!                                                     └──> spool (disk)
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`outbox`] | where the watching side and the sending side meet |
//! | [`queue`] | events on their way |
//! | [`recent`] | what happened lately, for whoever asks this node |
//! | [`owners`] | whose cgroups are, and images |
//! | [`connect`] | a connection to a collector, with certificates and tokens |
//! | [`spool`] | where events are kept on disk |
//! | [`client`] | keeps a stream alive |
//! | [`session`] | one stream, from Hello to its end |
//!
//! It must not decide what a fact is or means, and never blocks on the collector.
#![forbid(unsafe_code)]

pub mod client;
pub mod connect;
pub mod outbox;
pub mod owners;
pub mod queue;
pub mod recent;
pub mod session;
pub mod spool;

pub use client::{Identity, random};
pub use connect::{Collector, Files};
pub use outbox::Outbox;
pub use queue::Queue;

use std::time::Duration;

use archtrace_facts::backoff::Backoff;

/// How long to wait for a collector that failed.
const fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(250), Duration::from_secs(30))
}
