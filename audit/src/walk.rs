//! Walks a tree in several threads.

use std::os::fd::BorrowedFd;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use archtrace_facts::audit::Inventory;

use crate::{AuditError, Options, Progress, open};

mod directory;
mod queue;

use directory::Walker;
use queue::{Pending, Queue};

/// What a thread needs of stack: no directory is a call.
const STACK: usize = 256 * 1024;

/// What the threads of a walk share.
struct Shared<'a> {
    root: BorrowedFd<'a>,
    options: &'a Options,
    progress: &'a Progress,
    queue: Queue,
    start: Instant,
    /// Entries that were seen, and bytes that were read.
    entries: AtomicU64,
    bytes: AtomicU64,
    /// Some limit was reached.
    ended: AtomicBool,
}

/// Looks at every file below `root`.
pub(crate) fn walk(
    root: BorrowedFd<'_>,
    options: &Options,
    progress: &Progress,
) -> Result<Inventory, AuditError> {
    open::directory(root, b"").map_err(|error| AuditError::Root(error.into()))?;
    let shared = Shared {
        root,
        options,
        progress,
        queue: Queue::new(options.limits.pending),
        start: Instant::now(),
        entries: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        ended: AtomicBool::new(false),
    };
    shared.queue.add(vec![Pending {
        path: Vec::new(),
        depth: 0,
    }]);
    let inventory = thread::scope(|scope| {
        // With fewer threads than were asked for it only takes longer.
        let others: Vec<_> = (1..options.threads)
            .map_while(|_| {
                let builder = thread::Builder::new().name("audit".to_owned());
                let work = || Walker::new(&shared).run();
                builder.stack_size(STACK).spawn_scoped(scope, work).ok()
            })
            .collect();
        let mut inventory = Walker::new(&shared).run();
        for other in others {
            match other.join() {
                Ok(seen) => inventory.merge(seen),
                Err(panic) => resume_unwind(panic),
            }
        }
        inventory
    });
    if progress.is_cancelled() {
        return Err(AuditError::Cancelled);
    }
    Ok(inventory)
}

impl Shared<'_> {
    /// Whether there is nothing more to do, though not everything was looked at.
    fn is_over(&self) -> bool {
        self.progress.is_cancelled() || self.ended.load(Ordering::Relaxed)
    }
}
