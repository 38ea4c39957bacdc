//! Answers about this node on a unix socket, with the collector down or without one: the service that
//! the collector has, over what the agent holds anyway.
//!
//! ```text
//! watching side ──> outbox ──(short locks)──> mirror ──> archtrace_query ──> socket
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`mirror`] | a copy of what the outbox holds, made when somebody asks and dropped when nobody does |
//! | [`read`] | questions to the mirror |
//! | [`socket`] | the socket's file |
//! | [`connections`] | who is connected |
//! | [`serve`] | the server, on a thread of its own |
//!
//! What must not happen here: anything that the watching side waits for. While nobody asks, there is a
//! thread that sleeps, and the outbox keeps what happened lately.

mod connections;
mod mirror;
mod read;
mod serve;
mod socket;

use std::hash::Hash;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use archtrace_facts::node::NodeInfo;
use archtrace_sink::Outbox;

use self::read::Node;
use self::serve::Server;

/// Whom answers are about.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// Name of the cluster; may be empty.
    pub(crate) cluster: String,
    /// The node.
    pub(crate) node: NodeInfo,
    /// When the hooks were attached.
    pub(crate) attached_at: SystemTime,
}

impl About {
    /// The node that reports.
    pub(crate) fn of(identity: &archtrace_sink::Identity) -> Self {
        Self {
            cluster: identity.cluster.clone(),
            node: identity.node.clone(),
            attached_at: identity.attached_at,
        }
    }
}

/// Answers on a socket at `path` until what is returned is dropped. A socket that cannot be made is
/// told in the preflight, and is no reason to watch nothing.
pub(crate) fn start<C>(path: &Path, about: About, outbox: &Outbox<C>) -> Option<Server>
where
    C: Copy + Eq + Hash + Send + 'static,
{
    let started = socket::bind(path).and_then(|socket| {
        outbox.lock().recent.keep();
        serve::start(socket, Arc::new(Node::new(about, outbox.clone())))
    });
    match started {
        Ok(server) => {
            tracing::info!(socket = %path.display(), "answering on this node");
            Some(server)
        }
        Err(error) => {
            let line = format!("no socket at {}: {error}", path.display());
            tracing::warn!("{line}");
            outbox.lock().preflight.missing.push(line);
            None
        }
    }
}

#[cfg(test)]
mod tests;
