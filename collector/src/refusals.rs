//! What was refused: each is counted, and the first of its kind is logged.
//!
//! Whoever is refused comes again, for ever, and there may be thousands of them. So a log says who was
//! refused and why once, and the counts, which anybody may ask for, say how often.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

/// The same thing is said again after this, if it goes on.
const REPEAT: Duration = Duration::from_secs(600);

/// Different things that are remembered as said: each some 100 bytes. When there are more, only every
/// reason is said once, and not who it was.
const MAX_SAID: usize = 4096;

/// Why somebody was refused, or asked to tell everything again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No credentials, or none that hold.
    Unauthenticated,
    /// Somebody who may not do this.
    PermissionDenied,
    /// An agent that reports for another node than its credentials name.
    NodeMismatch,
    /// TLS could not be agreed on: another CA, an expired certificate, or no TLS at all.
    Handshake,
    /// A connection on which nothing was asked in time.
    Idle,
    /// Something else than HTTP/2.
    NotHttp2,
    /// More connections than `--max-connections`, or than files that may be open.
    TooManyConnections,
    /// Something that is against the protocol, or makes no sense.
    InvalidMessage,
    /// A message or a snapshot that is too large.
    TooLarge,
    /// Facts whose digest is another one than the agent says: told again, not refused.
    DigestMismatch,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::NodeMismatch,
        Self::Handshake,
        Self::Idle,
        Self::NotHttp2,
        Self::TooManyConnections,
        Self::InvalidMessage,
        Self::TooLarge,
        Self::DigestMismatch,
    ];

    /// The word that people see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NodeMismatch => "node_mismatch",
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::NotHttp2 => "not_http2",
            Self::TooManyConnections => "too_many_connections",
            Self::InvalidMessage => "invalid_message",
            Self::TooLarge => "too_large",
            Self::DigestMismatch => "digest_mismatch",
        }
    }
}

/// Counts, and what was said already.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: [AtomicU64; Reason::ALL.len()],
    said: Mutex<HashMap<(Reason, String), Instant>>,
}

impl Refusals {
    /// Counts, and logs it if this was not said of `who` before: an address, or a node and an identity.
    pub fn note(&self, reason: Reason, who: &str, what: &dyn Display) {
        self.counts[reason as usize].fetch_add(1, Ordering::Relaxed);
        if self.is_news(reason, who, Instant::now()) {
            warn!(reason = reason.as_str(), who, %what, "refused; more of the same is counted only");
        }
    }

    /// How often, by reason; those that never happened are left out.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64)> {
        let all = self.all().filter(|(_, count)| *count > 0);
        all.map(|(reason, count)| (reason.to_owned(), count))
            .collect()
    }

    /// The same, with those that never happened.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |reason: Reason| self.counts[reason as usize].load(Ordering::Relaxed);
        let all = Reason::ALL.into_iter();
        all.map(move |reason| (reason.as_str(), count(reason)))
    }

    fn is_news(&self, reason: Reason, who: &str, now: Instant) -> bool {
        let mut said = self.lock();
        if said.len() >= MAX_SAID {
            said.retain(|_, at| now.saturating_duration_since(*at) < REPEAT);
        }
        let who = if said.len() >= MAX_SAID { "" } else { who };
        let key = (reason, who.to_owned());
        let old = said.get(&key);
        let news = old.is_none_or(|at| now.saturating_duration_since(*at) >= REPEAT);
        if news {
            said.insert(key, now);
        }
        news
    }

    /// A map cannot be left half changed, so that a panic elsewhere does not matter here.
    fn lock(&self) -> MutexGuard<'_, HashMap<(Reason, String), Instant>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_is_said() {
        let refusals = Refusals::default();
        let now = Instant::now();
        assert!(refusals.is_news(Reason::Idle, "a", now));
        assert!(!refusals.is_news(Reason::Idle, "a", now));
        assert!(refusals.is_news(Reason::Idle, "b", now));
        assert!(refusals.is_news(Reason::Handshake, "a", now));
        assert!(refusals.is_news(Reason::Idle, "a", now + REPEAT));
        for _ in 0..3 {
            refusals.note(Reason::Handshake, "a", &"expired");
        }
        assert_eq!(refusals.counts(), [("handshake".to_owned(), 3)]);
        let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
        for (i, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i, "{reason:?} has its own place");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let news = |i: usize| refusals.is_news(Reason::Idle, &i.to_string(), now);
        assert_eq!((0..3 * MAX_SAID).filter(|i| news(*i)).count(), MAX_SAID + 1);
        assert_eq!(refusals.lock().len(), MAX_SAID + 1);
        assert!(refusals.is_news(Reason::Idle, "new", now + REPEAT));
        assert_eq!(refusals.lock().len(), 1, "what is old is forgotten");
    }
}
