//! Ctrl-C ends the measurement where that leaves nothing behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// How often a pause looks for a signal.
const STEP: Duration = Duration::from_millis(20);

/// From now on signals do not end this process; [`check`] tells of them.
pub(super) fn watch() -> Result<()> {
    let stop = STOP.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(stop)).context("watch for signals")?;
    }
    Ok(())
}

/// Fails once there was a signal.
pub(super) fn check() -> Result<()> {
    let stop = STOP.get().is_some_and(|stop| stop.load(Ordering::Relaxed));
    ensure!(!stop, "interrupted; nothing was left behind");
    Ok(())
}

/// Sleeps.
pub(super) fn pause(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        sleep(left.min(STEP));
    }
}
