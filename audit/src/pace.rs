//! Keeps a walk slow.

use std::thread;
use std::time::{Duration, Instant};

use crate::{Pace, Progress};

/// Rests shorter than this are saved up: waking up costs more than they give.
const MIN_REST: Duration = Duration::from_millis(5);
/// Rests are cut, so that a walk that was cancelled ends soon.
const MAX_REST: Duration = Duration::from_millis(100);

/// What one thread may still do before it has to rest.
#[derive(Debug)]
pub(crate) struct Pacer {
    pace: Option<Pace>,
    /// When what was done so far is paid for.
    paid: Instant,
}

impl Pacer {
    /// Of one of `threads`, each of which may do its part.
    pub(crate) fn new(pace: Option<Pace>, threads: usize) -> Self {
        let part = |all: u32| (all / u32::try_from(threads).unwrap_or(u32::MAX)).max(1);
        Self {
            pace: pace.map(|pace| Pace {
                files: part(pace.files),
                bytes: part(pace.bytes),
            }),
            paid: Instant::now(),
        }
    }

    /// Rests for what was done, if it is time to.
    pub(crate) fn done(&mut self, files: u32, bytes: u64, progress: &Progress) {
        let Some(pace) = self.pace else { return };
        self.paid += cost(pace, files, bytes);
        let now = Instant::now();
        // Time that was lost waiting for a disk is not made up for.
        self.paid = self.paid.max(now);
        let mut rest = self.paid - now;
        if rest < MIN_REST {
            return;
        }
        while !rest.is_zero() && !progress.is_cancelled() {
            let part = rest.min(MAX_REST);
            thread::sleep(part);
            rest -= part;
        }
    }
}

fn cost(pace: Pace, files: u32, bytes: u64) -> Duration {
    let files = Duration::from_secs(1) / pace.files * files;
    files.max(Duration::from_secs_f64(
        bytes as f64 / f64::from(pace.bytes),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_bytes_take_their_time() {
        let pace = Pace {
            files: 1000,
            bytes: 1 << 20,
        };
        for (files, bytes, millis) in [(1, 0, 1), (500, 64, 500), (1, 1 << 20, 1000), (0, 0, 0)] {
            let cost = cost(pace, files, bytes).as_millis();
            assert_eq!(cost, millis, "{files} files, {bytes} bytes");
        }
    }

    #[test]
    fn a_walk_keeps_its_pace() {
        let pace = Pace {
            files: 1000,
            bytes: 1 << 20,
        };
        let start = Instant::now();
        let mut pacer = Pacer::new(Some(pace), 1);
        for _ in 0..60 {
            pacer.done(1, 64, &Progress::default());
        }
        assert!(start.elapsed() >= Duration::from_millis(50));
    }
}
