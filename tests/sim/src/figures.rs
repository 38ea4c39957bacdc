//! Percentiles.

use std::time::Duration;

/// The time within which `percent` of a hundred lie; nothing if there are none.
#[must_use]
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last * percent).div_ceil(100))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_of_a_hundred_is_the_last_but_one() {
        let times: Vec<_> = (1..=101).rev().map(Duration::from_millis).collect();
        for (percent, ms) in [(0, 1), (50, 51), (99, 100), (100, 101)] {
            assert_eq!(percentile(&times, percent), Duration::from_millis(ms));
        }
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
