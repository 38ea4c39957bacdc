//! Keeps a stream to the collector alive.

use std::convert::Infallible;
use std::hash::Hash;
use std::time::{Duration, SystemTime};

use archtrace_facts::node::NodeInfo;

use crate::connect::Collector;
use crate::outbox::Outbox;
use crate::session;

/// Who reports. The id of its stream of events is in its [`crate::queue::Queue`].
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name of the cluster; may be empty.
    pub cluster: String,
    /// The node.
    pub node: NodeInfo,
    /// Random, new at each start of the agent.
    pub epoch: u64,
    /// When this epoch's hooks were attached.
    pub attached_at: SystemTime,
}

/// Where the collector asks for longer waits before a planned reconnect, this is what it gets.
const LONGEST_SPREAD: Duration = Duration::from_secs(60);

/// Reports until the process ends: whatever fails is tried again. Of several collectors (replicas over
/// one store) each connection goes to the next.
pub async fn run<C: Copy + Eq + Hash>(
    collectors: &[Collector],
    identity: &Identity,
    outbox: &Outbox<C>,
) -> Infallible {
    let mut backoff = crate::backoff();
    let mut unreachable = false;
    let mut next = random() as usize % collectors.len().max(1);
    loop {
        let Some(collector) = collectors.get(next) else {
            // Nobody to report to.
            return std::future::pending().await;
        };
        next = (next + 1) % collectors.len();
        outbox.lock().events.maintain();
        let ended = match collector.connect().await {
            Ok(connection) => session::run(connection, identity, outbox).await,
            Err(error) => session::Ended {
                error,
                progressed: false,
            },
        };
        let session::Ended { error, progressed } = ended;
        let planned = error.reconnect_within().filter(|_| progressed);
        outbox.lock().link.ended(planned.is_some());
        if progressed {
            backoff.reset();
        }
        let wait = match planned {
            Some(spread) => {
                tracing::debug!(%error, "connecting again");
                jitter(spread.min(LONGEST_SPREAD))
            }
            None => {
                // Said once when it starts; the rest is for who asks.
                if unreachable && error.is_connect() {
                    tracing::debug!(%error, "still no collector");
                } else {
                    tracing::warn!(%error, uri = %collector, "not reporting; counting goes on, trying again");
                }
                backoff.next(random())
            }
        };
        unreachable = error.is_connect();
        tokio::time::sleep(wait).await;
    }
}

/// A random time of less than `bound`.
pub(crate) fn jitter(bound: Duration) -> Duration {
    let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX).max(1);
    Duration::from_micros(random() % micros)
}

/// A random number from the kernel; 0 on a kernel without getrandom(2), where it only costs jitter.
#[must_use]
pub fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}
