//! What was done with the API, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use archtrace_facts::controllers::Kind;
#[cfg(feature = "kubernetes")]
use archtrace_facts::controllers::Skipped;
use archtrace_metrics::Sheet;

use crate::metrics::names;

/// Why a pod, or what controls it, is not known.
const SKIPPED: [&str; 3] = ["bound", "invalid", "unresolved"];

/// What became of events that were not dropped.
const TOLD: [&str; 3] = ["created", "updated", "merged"];

/// Why something that happened did not become an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// There were too many at once.
    Rate,
    /// The API server is slower than they come.
    Queue,
    /// It did not answer for long.
    Away,
    /// It does not let us.
    Forbidden,
    /// It is too long ago.
    Old,
    /// Nobody told the pod's name.
    NoName,
    /// The API knows no such pod.
    UnknownPod,
    /// Its namespace is gone, or going.
    Gone,
    /// The API server does not take it.
    Invalid,
}

impl Dropped {
    const ALL: [Self; 9] = [
        Self::Rate,
        Self::Queue,
        Self::Away,
        Self::Forbidden,
        Self::Old,
        Self::NoName,
        Self::UnknownPod,
        Self::Gone,
        Self::Invalid,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Queue => "queue",
            Self::Away => "away",
            Self::Forbidden => "forbidden",
            Self::Old => "old",
            Self::NoName => "no_name",
            Self::UnknownPod => "unknown_pod",
            Self::Gone => "gone",
            Self::Invalid => "invalid",
        }
    }
}

/// What became of one that was not dropped; in the order of [`TOLD`].
#[cfg(feature = "kubernetes")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was made.
    Created,
    /// One that was there was brought up to date.
    Updated,
    /// One that was written lately says it already, or will.
    Merged,
}

/// The numbers.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pods: AtomicU64,
    named: AtomicU64,
    skipped: [AtomicU64; SKIPPED.len()],
    restarts: [AtomicU64; Kind::ALL.len()],
    errors: [AtomicU64; Kind::ALL.len()],
    told: [AtomicU64; TOLD.len()],
    dropped: [AtomicU64; Dropped::ALL.len()],
}

#[cfg(feature = "kubernetes")]
impl Counts {
    pub(super) fn set_pods(&self, pods: usize) {
        let pods = u64::try_from(pods).unwrap_or(u64::MAX);
        self.pods.store(pods, Ordering::Relaxed);
    }

    /// So many owners got another name.
    pub(super) fn named(&self, owners: u64) {
        self.named.fetch_add(owners, Ordering::Relaxed);
    }

    pub(super) fn skipped(&self, why: Skipped) {
        let place = match why {
            Skipped::Full => 0,
            Skipped::Invalid => 1,
        };
        add(&self.skipped, place);
    }

    /// A pod's controller is not told.
    pub(super) fn unresolved(&self) {
        add(&self.skipped, 2);
    }

    /// All objects of a kind were read again.
    pub(super) fn restart(&self, kind: Kind) {
        add(&self.restarts, kind as usize);
    }

    pub(super) fn error(&self, kind: Kind) {
        add(&self.errors, kind as usize);
    }

    pub(super) fn tell(&self, told: Told) {
        add(&self.told, told as usize);
    }

    pub(super) fn dropped(&self, why: Dropped) {
        add(&self.dropped, why as usize);
    }
}

impl Counts {
    /// Numbers that should be 0, for people who ask for the status.
    pub(crate) fn troubles(&self) -> impl Iterator<Item = (String, u64)> {
        let pods = [(
            "kubernetes_pods_beyond_bound".to_owned(),
            get(&self.skipped[0]),
        )];
        let events = Dropped::ALL.into_iter().zip(&self.dropped);
        let events = events.map(|(why, count)| {
            let name = format!("kubernetes_events_dropped_{}", why.as_str());
            (name, get(count))
        });
        pods.into_iter()
            .chain(events)
            .filter(|(_, count)| *count > 0)
    }

    /// Writes them down.
    pub(crate) fn show(&self, sheet: &mut Sheet) {
        sheet.one(&names::KUBERNETES_PODS, get(&self.pods));
        sheet.one(&names::KUBERNETES_NAMED, get(&self.named));
        let skipped = self.skipped.iter().map(get);
        sheet.by(
            &names::KUBERNETES_SKIPPED,
            "reason",
            SKIPPED.into_iter().zip(skipped),
        );
        let resources = || Kind::ALL.into_iter().map(Kind::resource);
        let restarts = resources().zip(self.restarts.iter().map(get));
        sheet.by(&names::KUBERNETES_RESTARTS, "resource", restarts);
        let errors = resources().zip(self.errors.iter().map(get));
        sheet.by(&names::KUBERNETES_ERRORS, "resource", errors);
        let told = TOLD.into_iter().zip(self.told.iter().map(get));
        sheet.by(&names::KUBERNETES_EVENTS, "result", told);
        let why = Dropped::ALL.into_iter().map(Dropped::as_str);
        let dropped = why.zip(self.dropped.iter().map(get));
        sheet.by(&names::KUBERNETES_DROPPED, "reason", dropped);
    }
}

#[cfg(feature = "kubernetes")]
fn add(counts: &[AtomicU64], place: usize) {
    if let Some(count) = counts.get(place) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_place() {
        for (i, why) in Dropped::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, i, "{why:?}");
        }
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i, "{kind:?}");
        }
        #[cfg(feature = "kubernetes")]
        for (told, word) in [
            (Told::Created, "created"),
            (Told::Updated, "updated"),
            (Told::Merged, "merged"),
        ] {
            assert_eq!(TOLD[told as usize], word);
        }
    }
}
