//! Answers questions about facts and events, whoever keeps them: a collector's store for a fleet, or an
//! agent for its own node.
//!
//! ```text
//! Query (gRPC) ──> service ──> Read (a store, or an agent)
//!                     └──────> live (what agents keep now, in memory) ──> Read
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`read`] | what somebody who keeps facts and events has to be able to tell, as one trait |
//! | [`expected`] | which nodes should report |
//! | [`mandates`] | which agents have to run |
//! | [`registry`] | what registries have |
//! | `tags` | which tags pods ask for, and who |
//! | `coverage` | how it is with them |
//! | [`service`] | the questions: checked, asked, cut into pages |
//! | [`direct`] | the same questions from within this program |
//! | `findings` | what somebody should act on, each thing once |
//! | `matrix` | what was seen of each workload, put together for the portability matrix |
//! | `live` | what agents keep now, in memory, and what changes, for those who follow |
//!
//! What must not happen here: I/O of its own, and decisions that are not about a question (those are
//! `archtrace_facts`').
#![forbid(unsafe_code)]

mod coverage;
pub mod direct;
pub mod expected;
mod findings;
mod live;
pub mod mandates;
mod matrix;
mod page;
pub mod read;
pub mod registry;
pub mod service;
mod tags;
mod token;

pub use coverage::standing::Known;
pub use direct::{Answer, Part};
pub use expected::{Expected, Seen};
pub use live::growth::{Counter, Growth};
pub use mandates::{Mandated, Mandates, Policies};
pub use read::Read;
pub use registry::Registry;
pub use service::{Measured, Open, Query, Server, Settings};
