//! Notes how it is with mandated agents, and since when.
//!
//! Every replica does, each for itself: it notes a change where what is noted is what it saw before. Who comes
//! second finds it noted already, with the time of whoever came first; and whoever finds something third begins
//! anew with what is noted.

use std::sync::Arc;
use std::time::Duration;

use archtrace_facts::coverage::{Change, Status};
use archtrace_query::{Known, Query};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::store::{Store, StoreError};

/// How often it looks: people see a change in answers at once, and since when it is so this much later.
const EVERY: Duration = Duration::from_secs(1);

/// How long agents may take to come back to a collector that was away, beyond three heartbeats: they wait for
/// half a minute at most between two tries.
const COME_BACK: Duration = Duration::from_secs(30);

/// Changes that are written at once: some 50 ms, for which agents wait.
const CHUNK: usize = 1000;

/// Why something was not noted.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Look(Box<tonic::Status>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs until `shutdown` is cancelled: then nothing is to be asked any more. Does not return. Nodes are stale
/// after `silence`.
pub(crate) async fn run<S: Store>(
    query: Query<S>,
    store: Arc<S>,
    silence: Duration,
    shutdown: CancellationToken,
) {
    let noting = note(query, store, silence + COME_BACK);
    shutdown.run_until_cancelled(noting).await;
    std::future::pending::<()>().await;
}

async fn note<S: Store>(query: Query<S>, store: Arc<S>, patience: Duration) {
    let (mut known, mut failing) = (None::<Known>, false);
    let begun = Instant::now();
    let mut was_away = true;
    loop {
        // What one look does not tell, the next one does at once.
        let has_more = known.as_ref().is_some_and(Known::has_more);
        sleep(if has_more { Duration::ZERO } else { EVERY }).await;
        if was_away && begun.elapsed() > patience {
            // Whoever is not back by now is noted after all.
            (was_away, known) = (false, None);
        }
        match once(&query, &*store, known.take(), was_away).await {
            Ok(now) => {
                if failing {
                    info!("how it is with mandated agents is noted again");
                }
                (known, failing) = (now, false);
            }
            Err(error) => {
                if !failing {
                    error!(%error, "cannot note how it is with mandated agents; trying again");
                }
                failing = true;
            }
        }
    }
}

/// Looks once. What is known afterwards, unless somebody else noted something third. While this collector
/// `was_away`, it does not know of silent nodes whether they or itself were silent: then that is not noted.
async fn once<S: Store>(
    query: &Query<S>,
    store: &S,
    known: Option<Known>,
    was_away: bool,
) -> Result<Option<Known>, Failure> {
    let known = match known {
        Some(known) => known,
        None => Known::new(store.all_standings().await?),
    };
    let looked = query.coverage_changes(known).await;
    let (known, changes) = looked.map_err(|status| Failure::Look(Box::new(status)))?;
    let mut refused = 0;
    let mut rest = changes;
    rest.retain(|change: &Change| !(was_away && change.is == Some(Status::Stale)));
    while !rest.is_empty() {
        let behind = rest.split_off(rest.len().min(CHUNK));
        refused += store.note_standings(rest).await?;
        rest = behind;
    }
    Ok((refused == 0).then_some(known))
}
