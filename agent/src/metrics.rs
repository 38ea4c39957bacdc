//! What the agent tells Prometheus, of its own node and of itself, and the kubelet's probes.
//!
//! A page is made from what the outbox holds anyway, a few hundred facts at a time, so that the watching side
//! never waits for long. While nobody asks there is a socket that nobody is at.

mod names;
mod page;

use std::hash::Hash;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use archtrace_sink::{Identity, Outbox};
use tokio_util::sync::{CancellationToken, DropGuard};

use page::Node;

/// Where to tell, and how much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// Who scrapes comes here.
    pub(crate) listen: SocketAddr,
    /// Most series that are named after workloads.
    pub(crate) max_series: usize,
}

/// Tells until what is returned is dropped. To be called within a runtime of tokio.
///
/// # Errors
/// If the address is taken or not ours.
pub(crate) async fn start<C>(
    config: Config,
    identity: &Identity,
    outbox: &Outbox<C>,
) -> io::Result<DropGuard>
where
    C: Copy + Eq + Hash + Send + 'static,
{
    let Config { listen, max_series } = config;
    let listener = archtrace_metrics::serve::listen(listen).await?;
    tracing::info!(%listen, "telling Prometheus");
    let over = CancellationToken::new();
    let node = Arc::new(Node::new(identity, outbox.clone(), max_series));
    tokio::spawn(archtrace_metrics::serve(listener, node, over.clone()));
    Ok(over.drop_guard())
}
