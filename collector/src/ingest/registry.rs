//! Which stream speaks for a node: the newest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Cluster and name.
type Node = (String, String);

/// The streams that are open.
#[derive(Debug, Default)]
pub(super) struct Registry {
    streams: Mutex<HashMap<Node, CancellationToken>>,
}

/// Speaks for a node until it is superseded or dropped.
#[derive(Debug)]
pub(super) struct Claim {
    registry: Arc<Registry>,
    node: Node,
    token: CancellationToken,
}

impl Registry {
    /// Makes a stream the one that speaks for a node. An older one, which may be the remains of a
    /// connection that broke without a word, is told to end.
    pub(super) fn claim(self: &Arc<Self>, cluster: &str, node: &str) -> Claim {
        let node = (cluster.to_owned(), node.to_owned());
        let token = CancellationToken::new();
        if let Some(older) = self.lock().insert(node.clone(), token.clone()) {
            older.cancel();
        }
        Claim {
            registry: Arc::clone(self),
            node,
            token,
        }
    }

    /// A map cannot be left half changed, so that a panic elsewhere does not matter here.
    fn lock(&self) -> MutexGuard<'_, HashMap<Node, CancellationToken>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Returns when a newer stream speaks for the node.
    pub(super) async fn superseded(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Whoever superseded this one has put its own token there.
        if !self.token.is_cancelled() {
            self.registry.lock().remove(&self.node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_speaks_and_nothing_is_left() {
        let registry = Arc::new(Registry::default());
        let other = registry.claim("c", "other");
        let first = registry.claim("c", "n");
        let second = registry.claim("c", "n");
        assert!(first.token.is_cancelled());
        drop(first);
        assert!(!second.token.is_cancelled() && !other.token.is_cancelled());
        assert_eq!(registry.lock().len(), 2);
        drop((second, other));
        assert_eq!(registry.lock().len(), 0);
    }
}
