//! How far an export is, for those who look at it from outside.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use archtrace_query::read::{EventPlace, NodeId};

use crate::positions::Positions;

/// What one export has done, shared with whoever asks.
#[derive(Debug)]
pub struct Progress {
    name: &'static str,
    sent: AtomicU64,
    refused: AtomicU64,
    skipped: AtomicU64,
    retries: AtomicU64,
    is_behind: AtomicBool,
    places: Mutex<BTreeMap<NodeId, EventPlace>>,
}

/// Numbers since the collector started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that the other side has taken.
    pub sent: u64,
    /// Events that it will never take.
    pub refused: u64,
    /// Events that were deleted before they could be passed on.
    pub skipped: u64,
    /// How often something had to be sent again.
    pub retries: u64,
}

impl Progress {
    /// Of an export with this name, such as `otlp`, that is this far.
    #[must_use]
    pub fn new(name: &'static str, positions: &Positions) -> Self {
        Self {
            name,
            sent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            // Until it has looked. What was there before the first export is none that it is behind with.
            is_behind: AtomicBool::new(!positions.is_new),
            places: Mutex::new(positions.nodes.clone()),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let number = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Counts {
            sent: number(&self.sent),
            refused: number(&self.refused),
            skipped: number(&self.skipped),
            retries: number(&self.retries),
        }
    }

    /// Whether there may be events that were not passed on yet.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// The place up to which a node's events were passed on.
    #[must_use]
    pub fn place(&self, node: NodeId) -> EventPlace {
        self.places().get(&node).copied().unwrap_or_default()
    }

    /// So many events are about to be deleted that were not passed on.
    pub fn skip(&self, events: u64) {
        if events > 0 {
            self.skipped.fetch_add(events, Ordering::Relaxed);
            tracing::error!(
                export = self.name,
                events,
                "events are deleted that were not exported: they were kept for as long as --keep-events \
                 says"
            );
        }
    }

    pub(crate) fn sent(&self, events: u64) {
        self.sent.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self, events: u64) {
        self.refused.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_behind(&self, is_behind: bool) {
        self.is_behind.store(is_behind, Ordering::Relaxed);
    }

    pub(crate) fn reached(&self, node: NodeId, place: EventPlace) {
        self.places().insert(node, place);
    }

    pub(crate) fn forgot(&self, node: NodeId) {
        self.places().remove(&node);
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<NodeId, EventPlace>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
