//! What comes in together is printed together.

use std::time::Duration;

use crate::client::Updates;
use crate::failure::Failure;

/// Within this time of each other.
const PAUSE: Duration = Duration::from_millis(20);

/// The most at once.
const MOST: usize = 1000;

/// Adds the next updates to `batch`, and tells how the stream ended behind them, if it did. Nothing is lost
/// if this is not waited for to its end: what came until then is there.
pub(super) async fn batch<M, U>(
    updates: &mut Updates<M, U>,
    batch: &mut Vec<U>,
) -> Option<Result<(), Failure>> {
    while batch.len() < MOST {
        let next = if batch.is_empty() {
            updates.next().await
        } else {
            tokio::time::timeout(PAUSE, updates.next()).await.ok()?
        };
        match next {
            Ok(Some(update)) => batch.push(update),
            Ok(None) => return Some(Ok(())),
            Err(failure) => return Some(Err(failure)),
        }
    }
    None
}
