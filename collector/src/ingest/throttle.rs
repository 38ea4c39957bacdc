//! How long agents are to wait while the store is away.

use std::time::{Duration, Instant};

use super::part_of;

/// Bound of the first wait.
const FIRST: Duration = Duration::from_secs(1);
/// Bound of all waits: how long agents may go on waiting when the store is back.
const LONGEST: Duration = Duration::from_secs(30);

/// Of one stream.
#[derive(Debug, Default)]
pub(super) struct Throttled {
    failures: u32,
    until: Option<Instant>,
}

impl Throttled {
    /// The store is away (still, or again).
    pub(super) fn failed(&mut self, now: Instant) -> Duration {
        let bound = bound(self.failures);
        self.failures = self.failures.saturating_add(1);
        // Half of it is random: all agents fail at once, and should not come back at once.
        let wait = bound / 2 + part_of(bound / 2);
        self.until = Some(now + wait);
        wait
    }

    /// It stored something.
    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    /// How long the agent has to wait still: what comes before was on its way, and is to be sent again.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }
}

fn bound(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_again() {
        let mut throttled = Throttled::default();
        let now = Instant::now();
        assert_eq!(throttled.left(now), None);
        for failures in 0..100 {
            let wait = throttled.failed(now);
            let bound = bound(failures);
            assert!(wait >= bound / 2 && wait <= bound && bound <= LONGEST);
            assert_eq!(throttled.left(now), Some(wait));
            assert_eq!(throttled.left(now + wait), None);
        }
        throttled.worked();
        assert_eq!(throttled.left(now), None);
        assert!(throttled.failed(now) <= FIRST);
    }
}
