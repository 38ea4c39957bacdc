//! Waiting for what is bound to happen.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How often is asked. Each question starts a program, so a smaller step would mostly add load.
const STEP: Duration = Duration::from_millis(10);

/// Repeats `probe` until it succeeds, and says how long that took, with the last answer.
///
/// # Errors
/// The last error of `probe`, once `limit` has passed.
pub fn eventually<T>(
    limit: Duration,
    mut probe: impl FnMut() -> Result<T>,
) -> Result<(T, Duration)> {
    let start = Instant::now();
    loop {
        // Taken before: what is asked late in the limit still counts as in time.
        let asked = start.elapsed();
        match probe() {
            Ok(value) => return Ok((value, start.elapsed())),
            Err(error) if asked >= limit => {
                return Err(error).with_context(|| format!("after {:.1} s", asked.as_secs_f64()));
            }
            Err(_) => thread::sleep(STEP),
        }
    }
}
