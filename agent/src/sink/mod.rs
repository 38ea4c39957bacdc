//! To the collector: what has changed, and what has happened.

pub(crate) mod backoff;
pub(crate) mod client;
pub(crate) mod outbox;
pub(crate) mod owners;
pub(crate) mod queue;
pub(crate) mod session;
