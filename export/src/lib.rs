//! Passes events on to other systems, as they come into the store.
//!
//! ```text
//! Read (a store) ──> follow ──> Sink: otlp (gRPC), ocsf (a file)
//!                      └──────> Positions (a file): how far everything was confirmed
//! ```
//!
//! Events wait in the store, not here: one batch is in memory, and whoever follows reads on when that was
//! confirmed. So a system that is away costs nothing but the time that events are kept for, and ingest
//! never waits. Each event is passed on at least once: after a crash, what was not confirmed yet, or was
//! and could not be noted, comes again. What was deleted before it could be passed on is counted.
//!
//! | module | what |
//! |---|---|
//! | `follow` | reads, sends, tries again |
//! | `positions` | how far it is, in a file that survives a crash |
//! | [`otlp`] | logs of OpenTelemetry, to a collector of its |
//! | [`ocsf`] | findings as OCSF 1.5 has them, to a file |
//! | `directory` | names of files, on disk |
//! | `message` | what an event is called, and how much it matters |
//!
//! What must not happen here: a decision about what is a finding (that is `archtrace_facts`'), or anything
//! that an agent would wait for.
#![forbid(unsafe_code)]

mod backoff;
mod directory;
mod follow;
mod message;
pub mod ocsf;
pub mod otlp;
mod positions;
mod progress;
#[cfg(test)]
mod samples;

pub use follow::{Refusal, Sink, Taken, run};
pub use positions::{PositionError, Positions};
pub use progress::{Counts, Progress};
