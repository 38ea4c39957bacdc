//! The collector over real sockets and real files.

mod conformance;
mod ingest;
mod migration;
mod program;
mod query;
mod restart;
mod sqlite;
mod support;
