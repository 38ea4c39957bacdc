//! What was asked for, and when it is looked at next.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::found::{Found, Place, Source};

/// Containers that are remembered: those of 250 pods several times over, for a node where they come
/// and go. An entry takes about 1 KiB, most of which is paths and names.
const MAX_ENTRIES: usize = 2048;
/// Cgroups within one container that are told of: an init system in it makes some dozen.
const MAX_CGROUPS: usize = 64;

/// All that was asked for.
#[derive(Default)]
pub(crate) struct Entries {
    by_key: HashMap<String, Entry>,
    due: BTreeSet<(Instant, String)>,
}

/// A container, or a pod as a whole.
pub(crate) struct Entry {
    /// What the cgroup's path says.
    pub(crate) place: Place,
    /// Cgroups that were asked for, and whether they are still there.
    pub(crate) cgroups: Vec<(String, bool)>,
    pub(crate) found: Option<Found>,
    /// Tries since it was last found, or since there is a reason to try again.
    pub(crate) tries: usize,
    /// Since when all of its cgroups are gone.
    pub(crate) ended: Option<Instant>,
    /// Whether there is nothing more to ask for.
    pub(crate) settled: bool,
    due: Option<Instant>,
}

impl Entry {
    /// Whether the runtime, once it is there, may know more.
    fn is_wanting(&self) -> bool {
        let told = self.found.as_ref().map(|found| found.source);
        told != Some(Source::Runtime) || self.ended.is_some() && !self.settled
    }
}

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is known already.
    Known,
    /// It is looked for.
    Waits,
    /// There is no room for it.
    Full,
}

impl Entries {
    /// Takes a question, and the key of its entry.
    pub(crate) fn ask(&mut self, cgroup: String, place: Place, now: Instant) -> (String, Taken) {
        let key = key(&place).to_owned();
        if let Some(entry) = self.by_key.get_mut(&key) {
            let is_new = !entry.cgroups.iter().any(|(known, _)| *known == cgroup);
            let is_full = entry.cgroups.len() >= MAX_CGROUPS;
            if is_new && is_full && entry.found.is_none() {
                return (key, Taken::Full);
            }
            // Beyond the bound it is told what is known now, and not what comes later.
            if is_new && !is_full {
                // Somebody runs there, so that it has not ended.
                entry.ended = None;
                entry.cgroups.push((cgroup, true));
            }
            let taken = match entry.found {
                Some(_) => Taken::Known,
                None => Taken::Waits,
            };
            return (key, taken);
        }
        if self.by_key.len() >= MAX_ENTRIES && !self.make_room() {
            return (key, Taken::Full);
        }
        let entry = Entry {
            place,
            cgroups: vec![(cgroup, true)],
            found: None,
            tries: 0,
            ended: None,
            settled: false,
            due: None,
        };
        self.by_key.insert(key.clone(), entry);
        self.schedule(&key, Some(now));
        (key, Taken::Waits)
    }

    /// A cgroup is gone. What has no other is looked at once more.
    pub(crate) fn end(&mut self, cgroup: &str, now: Instant) {
        let mut ended = Vec::new();
        for (key, entry) in &mut self.by_key {
            if !entry.cgroups.iter().any(|(known, _)| known == cgroup) {
                continue;
            }
            for (known, live) in &mut entry.cgroups {
                // A directory is removed only after those in it (cgroups(7)).
                *live &= known != cgroup && !is_below(known, cgroup);
            }
            if entry.ended.is_none() && entry.cgroups.iter().all(|(_, live)| !live) {
                entry.ended = Some(now);
                entry.settled = false;
                entry.tries = 0;
                ended.push(key.clone());
            }
        }
        for key in ended {
            self.schedule(&key, Some(now));
        }
    }

    /// The runtime is there (again): whatever it may know more of is looked at.
    pub(crate) fn retry(&mut self, now: Instant) {
        let wanting: Vec<String> = (self.by_key.iter())
            .filter(|(_, entry)| entry.is_wanting())
            .map(|(key, _)| key.clone())
            .collect();
        for key in wanting {
            if let Some(entry) = self.by_key.get_mut(&key) {
                entry.tries = 0;
            }
            self.schedule(&key, Some(now));
        }
    }

    /// When something is to be done.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How many are due, up to a bound.
    pub(crate) fn due(&self, now: Instant, bound: usize) -> usize {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        due.take(bound).count()
    }

    /// The next that is due. What has ended and been held long enough is forgotten here.
    pub(crate) fn take_due(&mut self, now: Instant, hold: Duration) -> Option<String> {
        while self.next_due().is_some_and(|at| at <= now) {
            let (_, key) = self.due.pop_first()?;
            let Some(entry) = self.by_key.get_mut(&key) else {
                continue;
            };
            entry.due = None;
            if entry.ended.is_some_and(|ended| now >= ended + hold) {
                self.by_key.remove(&key);
            } else {
                return Some(key);
            }
        }
        None
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.by_key.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.by_key.get_mut(key)
    }

    /// When the entry is looked at next.
    pub(crate) fn schedule(&mut self, key: &str, at: Option<Instant>) {
        let Some(entry) = self.by_key.get_mut(key) else {
            return;
        };
        if let Some(before) = entry.due.take() {
            self.due.remove(&(before, key.to_owned()));
        }
        if let Some(at) = at {
            entry.due = Some(at);
            self.due.insert((at, key.to_owned()));
        }
    }

    /// Forgets what has ended first, else one that was given up, which costs asking for it again;
    /// whether there was such an entry.
    fn make_room(&mut self) -> bool {
        let ended = (self.by_key.iter())
            .filter_map(|(key, entry)| Some((entry.ended?, key)))
            .min()
            .map(|(_, key)| key);
        let given_up =
            |(_, entry): &(&String, &Entry)| entry.found.is_none() && entry.due.is_none();
        let leaves = ended.or_else(|| self.by_key.iter().find(given_up).map(|(key, _)| key));
        let Some(key) = leaves.cloned() else {
            return false;
        };
        self.schedule(&key, None);
        self.by_key.remove(&key);
        true
    }
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Containers go by their ids, pods by their UIDs; one is never the other.
fn key(place: &Place) -> &str {
    match &*place.container_id {
        "" => &place.pod_uid,
        id => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(id: &str) -> Place {
        Place {
            container_id: id.to_owned(),
            ..Place::default()
        }
    }

    const HOLD: Duration = Duration::from_secs(60);

    #[test]
    fn a_container_ends_with_its_last_cgroup_and_is_held() {
        let (mut entries, now) = (Entries::default(), Instant::now());
        for cgroup in ["/a", "/a/x", "/a/y"] {
            entries.ask(cgroup.to_owned(), place("1"), now);
        }
        assert_eq!(entries.take_due(now, HOLD).as_deref(), Some("1"));
        assert_eq!(entries.next_due(), None);
        entries.end("/a/x", now);
        entries.end("/", now);
        assert_eq!(entries.next_due(), None);
        // Its own, which the one that was not told of lay in.
        entries.end("/a", now);
        assert_eq!(entries.take_due(now, HOLD).as_deref(), Some("1"));
        entries.schedule("1", Some(now + HOLD));
        assert_eq!(entries.take_due(now, HOLD), None);
        assert!(entries.get("1").is_some());
        assert_eq!(entries.take_due(now + HOLD, HOLD), None);
        assert!(entries.get("1").is_none());
    }

    #[test]
    fn there_is_room_for_so_many_that_live() {
        let (mut entries, now) = (Entries::default(), Instant::now());
        for id in 0..MAX_ENTRIES {
            let taken = entries.ask(format!("/{id}"), place(&id.to_string()), now).1;
            assert_eq!(taken, Taken::Waits);
        }
        assert_eq!(entries.ask("/x".to_owned(), place("x"), now).1, Taken::Full);
        entries.end("/7", now);
        assert_eq!(
            entries.ask("/x".to_owned(), place("x"), now).1,
            Taken::Waits
        );
        assert!(entries.get("7").is_none());
        // Nobody is to be asked for this one any more.
        entries.schedule("8", None);
        assert_eq!(
            entries.ask("/y".to_owned(), place("y"), now).1,
            Taken::Waits
        );
        assert!(entries.get("8").is_none());
        let inner = (0..MAX_CGROUPS).map(|i| entries.ask(format!("/x/{i}"), place("x"), now).1);
        assert_eq!(inner.last(), Some(Taken::Full));
    }
}
