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
}

impl Question {
    /// A day: a benchmark that waits for longer waits for something else.
    pub const LONGEST: Duration = Duration::from_secs(24 * 3600);
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
