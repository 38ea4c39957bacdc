//! What is known and not yet told: where the watching side and the sending side meet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use archtrace_ebpf::abi::CellKey;
use archtrace_facts::aggregate::Table;
use archtrace_facts::node::Preflight;
use tokio::sync::Notify;

use super::owners::Owners;
use super::queue::Queue;

/// What both sides share. Locked for short pieces of work, never across an await.
pub(crate) struct Contents {
    pub(crate) table: Table<CellKey>,
    pub(crate) owners: Owners,
    pub(crate) events: Queue,
    pub(crate) preflight: Preflight,
}

/// A handle on it.
#[derive(Clone)]
pub(crate) struct Outbox {
    contents: Arc<Mutex<Contents>>,
    changed: Arc<Notify>,
}

/// Facts of one node: 250 pods of 40 binaries, and room for the node's own.
const MAX_FACTS: usize = 16_384;

impl Outbox {
    pub(crate) fn new(preflight: Preflight) -> Self {
        let contents = Contents {
            table: Table::new(MAX_FACTS),
            owners: Owners::default(),
            events: Queue::new(),
            preflight,
        };
        Self {
            contents: Arc::new(Mutex::new(contents)),
            changed: Arc::new(Notify::new()),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Contents> {
        // A panic while it was held ends the agent anyway; until then the contents still add up.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the sending side that there is something new.
    pub(crate) fn notify(&self) {
        self.changed.notify_one();
    }

    /// Waits for [`Outbox::notify`].
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}
