//! The kernel's monotonic time as wall-clock time.

use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// One look at both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: SystemTime,
    monotonic: Duration,
}

impl Clock {
    /// Looks at both clocks now. Wall-clock time may be set at any moment, so a look is not kept.
    pub(crate) fn look() -> Self {
        // CLOCK_MONOTONIC always exists (clock_gettime(2)); 0 would only make times wrong.
        let monotonic =
            clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
        Self {
            wall: SystemTime::now(),
            monotonic,
        }
    }

    /// When this look was.
    pub(crate) fn now(self) -> SystemTime {
        self.wall
    }

    /// What `bpf_ktime_get_ns` showed so long before this look, in nanoseconds.
    pub(crate) fn monotonic_before(self, ago: Duration) -> u64 {
        u64::try_from(self.monotonic.saturating_sub(ago).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The wall-clock time of `bpf_ktime_get_ns` = `ns`.
    pub(crate) fn wall(self, ns: u64) -> SystemTime {
        let at = Duration::from_nanos(ns);
        let ago = self.monotonic.saturating_sub(at);
        // Before 1970 only where nobody has set the clock yet; protobuf's times start there.
        self.wall
            .checked_sub(ago)
            .map_or(SystemTime::UNIX_EPOCH, |time| {
                time.max(SystemTime::UNIX_EPOCH)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_their_distance() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let clock = Clock {
            wall,
            monotonic: Duration::from_secs(10),
        };
        assert_eq!(clock.wall(4_000_000_000), wall - Duration::from_secs(6));
        assert_eq!(
            clock.monotonic_before(Duration::from_secs(4)),
            6_000_000_000
        );
        assert_eq!(clock.monotonic_before(Duration::from_secs(11)), 0);
        // An event that is younger than the look is dated at the look; time never runs ahead.
        assert_eq!(clock.wall(11_000_000_000), wall);
        let early = Clock {
            wall: SystemTime::UNIX_EPOCH,
            monotonic: Duration::from_secs(10),
        };
        assert_eq!(early.wall(1), SystemTime::UNIX_EPOCH);
    }
}
