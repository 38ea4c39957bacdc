//! Lets the store forget what is old.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;
use tracing::{debug, error, info};

use crate::store::{Keep, Store};

/// How often it looks: what is old may stay for so much longer.
const EVERY: Duration = Duration::from_secs(300);

/// Between two deletions, so that those who write come in between.
const BREATH: Duration = Duration::from_millis(50);

/// Runs for ever.
pub(crate) async fn run<S: Store>(store: &S, keep: Keep) {
    let mut failing = false;
    loop {
        match once(store, keep).await {
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

async fn once<S: Store>(store: &S, keep: Keep) -> Result<u64, crate::store::StoreError> {
    let mut sum = 0_u64;
    loop {
        let gone = store.expire(keep, SystemTime::now()).await?;
        if gone == 0 {
            return Ok(sum);
        }
        sum = sum.saturating_add(gone);
        sleep(BREATH).await;
    }
}
