//! How long to wait before the next try.

use std::time::Duration;

use archtrace_facts::backoff;

/// Bound of the first wait.
const FIRST: Duration = Duration::from_millis(500);
/// Bound of all waits: a system that was away for a day need not be found at once.
const LONGEST: Duration = Duration::from_secs(60);

/// What a peer may ask for at most: one that names a year is not obeyed.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// As long as the other side asks for, and a little longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff(backoff::Backoff);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(backoff::Backoff::new(FIRST, LONGEST))
    }

    /// The next wait; `random` is a random number.
    pub(crate) fn next(&mut self, asked: Option<Duration>, random: u64) -> Duration {
        // Whoever is asked to wait comes a little later than that, and not with all others.
        self.0.next(random) + asked.unwrap_or_default().min(LONGEST_ASKED)
    }

    /// Something was taken: the next failure is the first again.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_asked_to_wait_does_but_not_for_ever() {
        let mut backoff = Backoff::new();
        let asked = Duration::from_secs(7);
        assert_eq!(backoff.next(Some(asked), 0), asked);
        assert_eq!(backoff.next(Some(Duration::MAX), 0), LONGEST_ASKED);
        assert!(backoff.next(Some(asked), u64::MAX) > asked);
        backoff.reset();
        assert!(backoff.next(None, u64::MAX) < FIRST);
    }
}
