//! Directories that wait for a thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A directory that was seen.
#[derive(Debug)]
pub(super) struct Pending {
    /// Relative to the root, without a slash at either end; the root's is empty.
    pub(super) path: Vec<u8>,
    /// Directories above it.
    pub(super) depth: usize,
}

/// Directories that wait, the last one first: so that there are few of them.
#[derive(Debug)]
pub(super) struct Queue {
    room: usize,
    state: Mutex<State>,
    /// There may be something to do, or nothing any more.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Pending>,
    /// Bytes of their paths.
    bytes: usize,
    /// Threads that look at one, and may add more.
    busy: usize,
    /// Threads that wait for one: without any, nobody is woken, which would be a system call.
    idle: usize,
    closed: bool,
}

/// A directory that a thread looks at.
pub(super) struct Taken<'a> {
    pub(super) dir: Pending,
    queue: &'a Queue,
}

impl Queue {
    /// With room for `room` bytes of paths.
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Adds directories, and says how many there is no room for.
    pub(super) fn add(&self, dirs: Vec<Pending>) -> usize {
        let mut state = self.state();
        let mut refused = 0;
        for dir in dirs {
            let bytes = state.bytes + dir.path.len() + size_of::<Pending>();
            if bytes > self.room {
                refused += 1;
                continue;
            }
            state.bytes = bytes;
            state.waiting.push(dir);
        }
        if state.idle > 0 {
            self.changed.notify_all();
        }
        refused
    }

    /// The next directory; `None` when all are done. Waits while other threads may add some.
    pub(super) fn take(&self) -> Option<Taken<'_>> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(dir) = state.waiting.pop() {
                state.bytes -= dir.path.len() + size_of::<Pending>();
                state.busy += 1;
                return Some(Taken { dir, queue: self });
            }
            if state.busy == 0 {
                return None;
            }
            state.idle += 1;
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Nobody gets anything any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one step: what a thread that panicked left makes sense.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.busy -= 1;
        if state.busy == 0 && state.idle > 0 {
            self.queue.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn dir(path: &[u8]) -> Pending {
        Pending {
            path: path.to_vec(),
            depth: 0,
        }
    }

    #[test]
    fn the_last_comes_first_and_what_does_not_fit_is_refused() {
        let queue = Queue::new(2 * (size_of::<Pending>() + 1));
        assert_eq!(queue.add(vec![dir(b"a"), dir(b"b"), dir(b"c")]), 1);
        let next = || queue.take().map(|taken| taken.dir.path.clone());
        assert_eq!(next(), Some(b"b".to_vec()));
        assert_eq!(queue.add(vec![dir(b"d")]), 0);
        assert_eq!(next(), Some(b"d".to_vec()));
        assert_eq!(next(), Some(b"a".to_vec()));
        assert_eq!(next(), None);
        assert_eq!(queue.add(vec![dir(b"e")]), 0);
        queue.close();
        assert_eq!(next(), None);
    }

    #[test]
    fn who_waits_gets_what_another_adds() {
        let queue = Queue::new(1 << 20);
        queue.add(vec![dir(b"a")]);
        let first = queue.take();
        thread::scope(|scope| {
            let other = scope.spawn(|| queue.take().is_some());
            queue.add(vec![dir(b"b")]);
            assert!(other.join().expect("no panic"));
            let other = scope.spawn(|| queue.take().is_some());
            drop(first);
            assert!(!other.join().expect("no panic"));
        });
    }
}
