//! What comes in together is printed together.

use std::time::Duration;

use crate::client::Updates;
use crate::failure::Failure;

/// Within this time of each other.
const PAUSE: Duration = Duration::from_millis(20);

/// The most at once.
const MOST: usize = 1000;

/// The next updates, and how the stream ended behind them, if it did.
pub(super) async fn batch<M, U>(
    updates: &mut Updates<M, U>,
) -> (Vec<U>, Option<Result<(), Failure>>) {
    let mut batch = Vec::new();
    while batch.len() < MOST {
        let next = async {
            if batch.is_empty() {
                return Some(updates.next().await);
            }
            tokio::time::timeout(PAUSE, updates.next()).await.ok()
        };
        match next.await {
            Some(Ok(Some(update))) => batch.push(update),
            Some(Ok(None)) => return (batch, Some(Ok(()))),
            Some(Err(failure)) => return (batch, Some(Err(failure))),
            None => break,
        }
    }
    (batch, None)
}
