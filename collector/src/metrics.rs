//! What the collector tells Prometheus, of the fleet and of itself.
//!
//! | module | what |
//! |---|---|
//! | `names` | every metric, and what is said of it |
//! | `own` | what this process counts while it works |
//! | `timed` | a store whose commits are timed |
//! | `requests` | questions and their answers, by method |
//! | `process` | what the process uses |
//! | `page` | a page: the fleet as the live view has it, and all of the above |
//!
//! Of the fleet every replica tells the same, for all follow one store: whoever sums over replicas counts
//! twice. Of itself each tells what it did.

pub(crate) mod names;
mod own;
mod page;
mod process;
mod requests;
mod timed;

use std::sync::Arc;

use tokio::net::TcpListener;

pub(crate) use own::Own;
pub(crate) use page::{Counting, Fleet};
pub(crate) use requests::Requests;
pub(crate) use timed::Timed;

/// Where to tell, and how much.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who scrapes comes here.
    pub listener: Arc<TcpListener>,
    /// Most series that are named after workloads.
    pub max_series: usize,
}
