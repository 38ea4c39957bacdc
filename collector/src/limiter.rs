//! Says the same thing only so often.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets something pass once in a while, and counts what it held back.
#[derive(Debug)]
pub(crate) struct Limiter {
    every: Duration,
    last: Mutex<(Option<Instant>, u64)>,
}

impl Limiter {
    pub(crate) fn new(every: Duration) -> Self {
        Self {
            every,
            last: Mutex::new((None, 0)),
        }
    }

    /// How many were held back since the last that passed, if this one may pass.
    pub(crate) fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        // Two numbers cannot be left half changed.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, held) = &mut *last;
        if at.is_some_and(|at| now.saturating_duration_since(at) < self.every) {
            *held += 1;
            return None;
        }
        *at = Some(now);
        Some(std::mem::take(held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_passes_and_the_others_are_counted() {
        let limiter = Limiter::new(Duration::from_secs(1));
        let now = Instant::now();
        let passed: Vec<_> = [0, 1, 999, 1000, 1001, 5000]
            .map(|ms| limiter.pass_at(now + Duration::from_millis(ms)))
            .into();
        assert_eq!(passed, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
