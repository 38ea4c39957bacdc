//! How far a walk is, seen from outside.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far a walk is, and a way to end it.
#[derive(Debug, Default)]
pub struct Progress {
    files: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// Files that were looked at so far.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Ends the walk, which returns an error soon after.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Further files were looked at.
    pub fn add_files(&self, files: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
    }
}
