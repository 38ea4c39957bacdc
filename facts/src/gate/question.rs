//! What is asked of a watch over pods, and what is answered.

use std::time::{Duration, SystemTime};

use super::{Report, Wanted};
use crate::fleet::Coverage;

/// Which pods are watched, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which pods.
    pub wanted: Wanted,
    /// For how long; [`Question::LONGEST`] at most.
    pub duration: Duration,
    /// When it began, for a watch that goes on after it broke; now if `None`.
    pub since: Option<SystemTime>,
    /// For how long nobody has watched, of one that goes on; all the time since then if `None`.
    pub unwatched: Option<Duration>,
}

impl Question {
    /// A day: a benchmark that waits for longer waits for something else.
    pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

    /// For how long nobody may watch, until it is not known which pods came and went: a collector that is
    /// replaced is back before, and a pod takes about as long to be pulled, to run and to go.
    pub const GAP: Duration = Duration::from_secs(120);

    /// For how long nobody has watched at `now`, if that is too long.
    #[must_use]
    pub fn gap(&self, now: SystemTime) -> Option<Duration> {
        let began = now.duration_since(self.since?).unwrap_or_default();
        let gap = self.unwatched.map_or(began, |gap| gap.min(began));
        (gap > Self::GAP).then_some(gap)
    }
}

/// What is known of the pods: so far, or in the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// What is known.
    pub report: Report,
    /// For which nodes it cannot speak.
    pub coverage: Coverage,
    /// When the watch began.
    pub since: SystemTime,
    /// For how long it went on.
    pub watched: Duration,
    /// That is the answer, and not only what is known so far.
    pub ended: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;

    #[test]
    fn who_goes_on_says_for_how_long_nobody_watched() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        let seconds = Duration::from_secs;
        for (began, unwatched, gap) in [
            (None, None, None),
            (None, Some(500), None),
            (Some(3600), Some(5), None),
            (Some(3600), Some(120), None),
            (Some(3600), Some(121), Some(121)),
            // Whoever does not say it may have watched nothing at all.
            (Some(3600), None, Some(3600)),
            (Some(60), None, None),
            // Before it began nobody had to watch.
            (Some(60), Some(500), None),
        ] {
            let question = Question {
                wanted: Wanted {
                    arch: Arch::Arm64,
                    cluster: None,
                    namespace: "pay".to_owned(),
                    pods: Vec::new(),
                    workloads: Vec::new(),
                    labels: Default::default(),
                    expected: None,
                },
                duration: Duration::ZERO,
                since: began.map(|began| now - seconds(began)),
                unwatched: unwatched.map(seconds),
            };
            assert_eq!(
                question.gap(now),
                gap.map(seconds),
                "{began:?} {unwatched:?}"
            );
        }
    }
}
