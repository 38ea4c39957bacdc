//! Lets the store forget what is old.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_export::Progress;
use tokio::time::sleep;
use tracing::{debug, error, info};

use crate::exports;
use crate::store::{Keep, Store, StoreError};

/// How often it looks: what is old may stay for so much longer.
const EVERY: Duration = Duration::from_secs(300);

/// Between two deletions, so that those who write come in between.
const BREATH: Duration = Duration::from_millis(50);

/// Runs for ever. What `exports` have not passed on by then is counted.
pub(crate) async fn run<S: Store>(store: &S, keep: Keep, exports: &[Arc<Progress>]) {
    let mut failing = false;
    loop {
        match once(store, keep, exports).await {
            Ok(0) => {
                failing = false;
                debug!("nothing is too old");
            }
            Ok(gone) => {
                failing = false;
                info!(gone, "deleted what was too old");
            }
            Err(error) => {
                if !failing {
                    error!(%error, "cannot delete what is too old; trying again");
                }
                failing = true;
            }
        }
        sleep(EVERY).await;
    }
}

async fn once<S: Store>(
    store: &S,
    keep: Keep,
    exports: &[Arc<Progress>],
) -> Result<u64, StoreError> {
    // One point in time, so that what is counted is what is deleted.
    let now = SystemTime::now();
    let before = now
        .checked_sub(keep.events)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    exports::count_skipped(store, exports, before).await?;
    let mut sum = 0_u64;
    loop {
        let gone = store.expire(keep, now).await?;
        if gone == 0 {
            return Ok(sum);
        }
        sum = sum.saturating_add(gone);
        sleep(BREATH).await;
    }
}
