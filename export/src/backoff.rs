//! How long to wait before the next try.

use std::time::Duration;

/// Bound of the first wait.
const FIRST: Duration = Duration::from_millis(500);
/// Bound of all waits: a system that was away for a day need not be found at once.
const LONGEST: Duration = Duration::from_secs(60);

/// What a peer may ask for at most: one that names a year is not obeyed.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// Full jitter: a random time up to a bound that doubles with each failure, but no shorter than the other
/// side asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait; `random` is a random number.
    pub(crate) fn next(&mut self, asked: Option<Duration>, random: u64) -> Duration {
        let bound = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // The bound is a minute at most, so that microseconds fit.
        let bound = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX).max(1);
        let wait = Duration::from_micros(random % bound);
        // Whoever is asked to wait comes a little later than that, and not with all others.
        wait + asked.unwrap_or_default().min(LONGEST_ASKED)
    }

    /// Something was taken: the next failure is the first again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_grow_to_a_bound(randoms: Vec<u64>) {
            let mut backoff = Backoff::default();
            for (i, random) in randoms.into_iter().enumerate() {
                let bound = FIRST.saturating_mul(1 << i.min(16)).min(LONGEST);
                prop_assert!(backoff.next(None, random) < bound);
            }
            let asked = Duration::from_secs(7);
            prop_assert!(backoff.next(Some(asked), 0) == asked);
            prop_assert!(backoff.next(Some(Duration::MAX), 0) == LONGEST_ASKED);
            backoff.reset();
            prop_assert!(backoff.next(None, u64::MAX) < FIRST);
        }
    }
}
