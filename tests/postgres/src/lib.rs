//! A real PostgreSQL for tests: a cluster of its own in a temporary directory, on a port of loopback.
//!
//! ```no_run
//! if let Some(cluster) = archtrace_postgres::shared() {
//!     let url = cluster.database("chaos");
//! }
//! ```
//!
//! | module | what |
//! |---|---|
//! | `programs` | where PostgreSQL is |
//! | `keeper` | a shell that ends the server with whoever started it, however that ends |
//! | `cluster` | starting, stopping, killing; databases |
//!
//! What must not happen here: something is left running, or outside of the temporary directory.
#![forbid(unsafe_code)]

mod cluster;
mod keeper;
mod programs;

use std::sync::OnceLock;

pub use cluster::{Cluster, PASSWORD, USER};
pub use programs::{Programs, VARIABLE};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program or a file.
    #[error("{what}: {reason}")]
    System {
        /// What was tried.
        what: String,
        /// The system's error.
        reason: std::io::Error,
    },
    /// A program of PostgreSQL's said no.
    #[error("{what} failed: {output}")]
    Failed {
        /// What was tried.
        what: String,
        /// What it printed.
        output: String,
    },
}

/// The cluster that all tests of this process share. `None` where there is no PostgreSQL: then
/// tests that need it are to be left out, which was said. Each test makes a database of its own.
///
/// # Panics
/// If it does not start; and where there is none although `CI` is `true`: a pipeline has to test it.
pub fn shared() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    SHARED.get_or_init(start).as_ref()
}

/// Like [`shared`], for a test that stops its cluster.
///
/// # Panics
/// See [`shared`].
pub fn start() -> Option<Cluster> {
    let Some(programs) = Programs::find() else {
        let missing = format!(
            "there is no PostgreSQL 15 here: run `cargo xtask setup --test`, or set {VARIABLE} to the \
             directory of its programs"
        );
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("warning: tests with PostgreSQL are LEFT OUT: {missing}");
        return None;
    };
    match Cluster::start(programs) {
        Ok(cluster) => Some(cluster),
        Err(error) => panic!("PostgreSQL does not start: {error}"),
    }
}
