//! Whose turn it is to tell everything.
//!
//! An agent sends its snapshot as soon as it is welcomed, and HTTP/2 takes a window of it in before anybody
//! reads it: when ten thousand agents come back together, that is 80 MB of messages that wait to be read. So
//! they are welcomed one after the other, as fast as snapshots are stored. Those that have nothing to tell,
//! because the collector holds their facts already, do not keep others waiting.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Agents that tell everything at once: more than the store commits together, so that it never waits for
/// them, and 2 MB of windows.
const TURNS: usize = 256;

/// How long a turn may take: longer than any network takes that works. Whoever needs longer goes on without.
const LONGEST: Duration = Duration::from_secs(5);

/// The turns of all streams, which are taken in the order in which they are asked for.
#[derive(Debug)]
pub(super) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TURNS)))
    }
}

/// One stream's turn; over when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    /// Waits for a turn.
    pub(super) async fn take(&self) -> Option<Turn> {
        // The semaphore is never closed.
        let place = Arc::clone(&self.0).acquire_owned().await.ok()?;
        Some(Turn {
            until: Instant::now() + LONGEST,
            _place: place,
        })
    }
}

impl Turn {
    /// How long it may still take.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    // Without a runtime, which would let a task wait that has done much.
    #[test]
    fn who_comes_first_is_first() {
        let mut cx = Context::from_waker(Waker::noop());
        let turns = Turns::default();
        let mut taken = Vec::new();
        for _ in 0..TURNS {
            match pin!(turns.take()).poll(&mut cx) {
                Poll::Ready(turn) => taken.extend(turn),
                Poll::Pending => panic!("{} places", taken.len()),
            }
        }
        let (mut first, mut second) = (pin!(turns.take()), pin!(turns.take()));
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        taken.pop();
        assert!(second.as_mut().poll(&mut cx).is_pending());
        let Poll::Ready(Some(turn)) = first.as_mut().poll(&mut cx) else {
            panic!("there is a place");
        };
        assert!(turn.left() <= LONGEST);
        drop(turn);
        assert!(second.as_mut().poll(&mut cx).is_ready());
    }
}
