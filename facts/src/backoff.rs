//! How long to wait before the next try.

use std::time::Duration;

/// Full jitter: a random time up to a bound that doubles with each failure. A restarted peer is not met by all who
/// talk to it at once.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// One whose first wait is below `first`, and none above `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// The next wait; `random` is a random number.
    pub fn next(&mut self, random: u64) -> Duration {
        let bound = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let bound = bound.min(self.longest).as_micros();
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(random % bound)
    }

    /// Something went well: the next failure is the first again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(30);

    proptest! {
        #[test]
        fn waits_grow_to_a_bound(randoms: Vec<u64>) {
            let mut backoff = Backoff::new(FIRST, LONGEST);
            for (i, random) in randoms.into_iter().enumerate() {
                let bound = FIRST.saturating_mul(1 << i.min(16)).min(LONGEST);
                prop_assert!(backoff.next(random) < bound);
            }
            backoff.reset();
            prop_assert!(backoff.next(u64::MAX) < FIRST);
        }
    }

    #[test]
    fn waits_are_as_long_as_they_may() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let waits = [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000];
        for most in waits.map(Duration::from_millis) {
            // The last before the bound.
            let bound = u64::try_from(most.as_micros()).expect("fits");
            assert_eq!(backoff.next(bound - 1), most - Duration::from_micros(1));
        }
    }
}
