//! The collector over real sockets and real files.

mod conformance;
mod export;
mod ingest;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod metrics;
mod migration;
mod postgres;
mod program;
mod query;
mod replicas;
mod restart;
mod security;
mod sessions;
mod sqlite;
mod support;
