//! How long to wait before the next try.

use std::time::Duration;

/// Full jitter: a random time up to a bound that doubles with each failure. A restarted collector
/// is not met by all its agents at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

/// Bound of the first wait.
const FIRST: Duration = Duration::from_millis(250);
/// Bound of all waits.
const LONGEST: Duration = Duration::from_secs(30);

impl Backoff {
    /// The next wait; `random` is a random number.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        let bound = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // The bound is 30 s at most, so that microseconds fit.
        let bound_us = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(random % bound_us)
    }

    /// The collector has welcomed us: the next failure is the first again.
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
                prop_assert!(backoff.next(random) < bound);
            }
            backoff.reset();
            prop_assert!(backoff.next(u64::MAX) < FIRST);
        }
    }
}
