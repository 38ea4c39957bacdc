//! What came in lately, for those who follow: shared by all of them, and bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The last items that came in, while somebody follows.
#[derive(Debug)]
pub(crate) struct Log<T> {
    inner: Mutex<Inner<T>>,
    /// Items that are kept, and one batch more.
    bound: u64,
}

#[derive(Debug)]
struct Inner<T> {
    batches: VecDeque<Arc<[T]>>,
    /// Position of the first item that is kept, and of the next one.
    first: u64,
    next: u64,
    readers: usize,
}

/// A place in a log.
#[derive(Debug)]
pub(crate) struct Reader<T> {
    log: Arc<Log<T>>,
    at: u64,
}

/// What a reader finds.
#[derive(Debug)]
pub(crate) enum Found<T> {
    /// The next items.
    Batch(Arc<[T]>),
    /// So many are not kept any more; what follows them is next.
    Missed(u64),
    /// All was read.
    Nothing,
}

impl<T> Log<T> {
    pub(crate) fn new(bound: u64) -> Self {
        let inner = Inner {
            batches: VecDeque::new(),
            first: 0,
            next: 0,
            readers: 0,
        };
        Self {
            inner: Mutex::new(inner),
            bound,
        }
    }

    /// A reader of all that comes in from now on.
    pub(crate) fn follow(self: &Arc<Self>) -> Reader<T> {
        let mut inner = self.lock();
        inner.readers += 1;
        Reader {
            log: Arc::clone(self),
            at: inner.next,
        }
    }

    pub(crate) fn is_followed(&self) -> bool {
        self.lock().readers > 0
    }

    /// Adds a batch, if anybody follows.
    pub(crate) fn push(&self, items: Vec<T>) {
        let mut inner = self.lock();
        if inner.readers == 0 || items.is_empty() {
            return;
        }
        inner.next += length(&items);
        inner.batches.push_back(items.into());
        while inner.next - inner.first > self.bound && inner.batches.len() > 1 {
            let Some(oldest) = inner.batches.pop_front() else {
                break;
            };
            inner.first += length(&oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn length<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

impl<T> Reader<T> {
    /// What comes next.
    pub(crate) fn next(&mut self) -> Found<T> {
        let inner = self.log.lock();
        if self.at < inner.first {
            let missed = inner.first - self.at;
            self.at = inner.first;
            return Found::Missed(missed);
        }
        // A reader is always at the start of a batch.
        let mut start = inner.first;
        for batch in &inner.batches {
            if start == self.at {
                self.at += length(batch);
                return Found::Batch(Arc::clone(batch));
            }
            start += length(batch);
        }
        Found::Nothing
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        let mut inner = self.log.lock();
        inner.readers -= 1;
        if inner.readers == 0 {
            inner.batches.clear();
            inner.first = inner.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &mut Reader<u8>) -> (u64, Vec<u8>) {
        let (mut missed, mut items) = (0, Vec::new());
        loop {
            match reader.next() {
                Found::Batch(batch) => items.extend_from_slice(&batch),
                Found::Missed(count) => missed += count,
                Found::Nothing => return (missed, items),
            }
        }
    }

    #[test]
    fn readers_get_all_since_they_came_or_are_told_how_many_they_missed() {
        let log = Arc::new(Log::new(4));
        log.push(vec![1]);
        let mut early = log.follow();
        log.push(vec![2, 3]);
        let mut late = log.follow();
        log.push(vec![4]);
        assert_eq!(read(&mut early), (0, vec![2, 3, 4]));
        assert_eq!(read(&mut early), (0, vec![]));
        log.push(vec![5, 6]);
        log.push(vec![7, 8]);
        assert_eq!(read(&mut early), (0, vec![5, 6, 7, 8]));
        assert_eq!(read(&mut late), (1, vec![5, 6, 7, 8]));
        // The last one is there however large it is.
        log.push(vec![9; 10]);
        assert_eq!(read(&mut early), (0, vec![9; 10]));
        drop(early);
        assert!(log.is_followed());
        drop(late);
        assert!(!log.is_followed());
        assert!(log.lock().batches.is_empty());
    }
}
