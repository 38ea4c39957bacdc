//! When each tag is asked for. Knows no clock: whoever calls says what time it is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use archtrace_facts::registry::{Check, Listing, Problem, Reference, Trouble};

/// Tags that are known, each some 500 bytes; ten thousand nodes run a few thousand.
const MAX_TAGS: usize = 10_000;
/// After what time it is tried again where it may only have been bad luck.
const RETRY: Duration = Duration::from_secs(600);
/// For how long a registry is left alone that did not answer: its tags would all wait for it in vain.
const PAUSE: Duration = Duration::from_secs(60);

/// What is known of each tag, and when it is asked for next.
#[derive(Debug)]
pub(super) struct Schedule {
    every: Duration,
    entries: BTreeMap<Reference, Entry>,
    /// Until when registries are left alone; entries are dropped when that is over.
    paused: HashMap<String, Instant>,
    /// Those that are being asked, each for one tag: one that does not answer holds up nobody else's.
    asking: HashSet<String>,
    /// What is said already, of each registry.
    said: BTreeSet<(String, Trouble)>,
    left_out: usize,
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    check: Option<Arc<Check>>,
}

impl Schedule {
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            entries: BTreeMap::new(),
            paused: HashMap::new(),
            asking: HashSet::new(),
            said: BTreeSet::new(),
            left_out: 0,
        }
    }

    /// Takes over which tags are deployed: new ones are due, others are forgotten.
    pub(super) fn take(&mut self, deployed: BTreeSet<Reference>, now: Instant) {
        self.entries
            .retain(|reference, _| deployed.contains(reference));
        self.left_out = 0;
        for reference in deployed {
            if self.entries.contains_key(&reference) {
                continue;
            }
            if self.entries.len() >= MAX_TAGS {
                self.left_out += 1;
                continue;
            }
            let check = None;
            self.entries.insert(reference, Entry { due: now, check });
        }
        self.paused.retain(|_, until| *until > now);
        let hosts: BTreeSet<_> = self.entries.keys().map(|known| &*known.registry).collect();
        self.said.retain(|(host, _)| hosts.contains(&**host));
    }

    /// Deployed tags that there is no room for.
    pub(super) fn left_out(&self) -> u64 {
        u64::try_from(self.left_out).unwrap_or(u64::MAX)
    }

    /// The one that is to be asked for now, and what is known of it: of those whose registry is not being asked,
    /// the one that waits longest. No other of its registry is until [`Schedule::over`]. One of which nobody
    /// tells what became of it is due after the usual time.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Reference, Option<Listing>)> {
        let (paused, asking) = (&self.paused, &self.asking);
        let is_due = |(reference, entry): &(&Reference, &mut Entry)| {
            let until = paused.get(&reference.registry);
            entry.due <= now
                && until.is_none_or(|until| *until <= now)
                && !asking.contains(&reference.registry)
        };
        let due = self.entries.iter_mut().filter(is_due);
        let (reference, entry) = due.min_by_key(|(_, entry)| entry.due)?;
        entry.due = now + self.every;
        self.asking.insert(reference.registry.clone());
        let told = entry.check.as_ref().map(|check| &check.told);
        let known = told.and_then(|told| told.as_ref().ok());
        Some((reference.clone(), known.cloned()))
    }

    /// This registry is not being asked any more.
    pub(super) fn over(&mut self, registry: &str) {
        self.asking.remove(registry);
    }

    /// Takes in what was told of one; whether it is a trouble that was not said yet of its registry. It is due
    /// again after the interval, 10 % more or less, as `random` (from 0 to 1) will have it.
    pub(super) fn told(
        &mut self,
        reference: &Reference,
        check: &Check,
        retry_after: Option<Duration>,
        now: Instant,
        random: f64,
    ) -> bool {
        let host = &reference.registry;
        let trouble = check
            .told
            .as_ref()
            .err()
            .map(|Problem { trouble, .. }| *trouble);
        let may_pass = matches!(
            trouble,
            Some(Trouble::Busy | Trouble::Unavailable | Trouble::Unreachable)
        );
        let usual = self.every.mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0));
        let wait = if may_pass {
            let pause = retry_after.unwrap_or_default().max(PAUSE).min(self.every);
            self.paused.insert(host.clone(), now + pause);
            RETRY.max(pause).min(usual)
        } else {
            usual
        };
        if let Some(entry) = self.entries.get_mut(reference) {
            entry.due = now + wait;
            entry.check = Some(Arc::new(check.clone()));
        }
        match trouble {
            Some(trouble) => self.said.insert((host.clone(), trouble)),
            None => {
                self.said.retain(|(known, _)| known != host);
                false
            }
        }
    }

    /// All that have this trouble are due.
    pub(super) fn again(&mut self, trouble: Trouble, now: Instant) {
        for entry in self.entries.values_mut() {
            let told = entry.check.as_ref().map(|check| &check.told);
            if matches!(told, Some(Err(problem)) if problem.trouble == trouble) {
                entry.due = now;
            }
        }
    }

    /// Whether it is asked for.
    pub(super) fn has(&self, reference: &Reference) -> bool {
        self.entries.contains_key(reference)
    }

    /// What is known of it.
    pub(super) fn check(&self, reference: &Reference) -> Option<Arc<Check>> {
        self.entries.get(reference)?.check.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(6 * 3600);

    fn reference(text: &str) -> Reference {
        text.parse().expect(text)
    }

    fn set(texts: &[&str]) -> BTreeSet<Reference> {
        texts.iter().map(|text| reference(text)).collect()
    }

    fn due(schedule: &mut Schedule, now: Instant) -> Vec<String> {
        let mut due = Vec::new();
        while let Some((reference, _)) = schedule.due(now) {
            schedule.over(&reference.registry);
            due.push(reference.to_string());
        }
        due
    }

    fn listing() -> Check {
        Check {
            reference: String::new(),
            checked_at: None,
            told: Ok(Listing {
                is_index: true,
                digest: "sha256:1".to_owned(),
                platforms: Vec::new(),
            }),
        }
    }

    #[test]
    fn each_is_asked_for_once_in_an_interval() {
        let (mut schedule, now) = (Schedule::new(EVERY), Instant::now());
        schedule.take(set(&["a.example/x:1", "b.example/y:1"]), now);
        let one = reference("a.example/x:1");
        assert_eq!(schedule.due(now), Some((one.clone(), None)));
        assert_eq!(due(&mut schedule, now), ["b.example/y:1"]);
        schedule.over("a.example");
        assert!(schedule.has(&one) && schedule.check(&one).is_none());
        schedule.told(&one, &listing(), None, now, 0.0);
        assert_eq!(schedule.check(&one).as_deref(), Some(&listing()));
        // Looking again at what is deployed changes nothing.
        schedule.take(set(&["a.example/x:1", "b.example/y:1"]), now);
        assert!(due(&mut schedule, now + EVERY.mul_f64(0.89)).is_empty());
        let again = schedule.due(now + EVERY.mul_f64(0.91));
        let known = listing().told.ok();
        assert_eq!(again, Some((one.clone(), known)));
        schedule.over("a.example");
        // The one that nobody told of, and the one that is told to be late.
        schedule.told(&one, &listing(), None, now, 1.0);
        assert_eq!(
            due(&mut schedule, now + EVERY.mul_f64(1.09)),
            ["b.example/y:1"]
        );
        schedule.take(set(&["b.example/y:1"]), now);
        assert!(schedule.check(&one).is_none() && !schedule.has(&one));
    }

    #[test]
    fn a_registry_that_does_not_answer_is_left_alone() {
        let (mut schedule, now) = (Schedule::new(EVERY), Instant::now());
        let all = ["a.example/x:1", "a.example/x:2", "b.example/y:1"];
        schedule.take(set(&all), now);
        let one = reference("a.example/x:1");
        assert_eq!(schedule.due(now), Some((one.clone(), None)));
        schedule.over("a.example");
        let check = |trouble| Check::without("a.example/x:1", trouble, "");
        assert!(schedule.told(&one, &check(Trouble::Unreachable), None, now, 0.5));
        assert!(!schedule.told(&one, &check(Trouble::Unreachable), None, now, 0.5));
        assert_eq!(due(&mut schedule, now), ["b.example/y:1"]);
        assert_eq!(due(&mut schedule, now + PAUSE), ["a.example/x:2"]);
        assert_eq!(due(&mut schedule, now + RETRY), ["a.example/x:1"]);
        // As long as it wants, and no longer than an interval.
        for (wanted, waits) in [(7200, 7200), (1, 600), (10 * 86_400, 19_440)] {
            schedule.told(
                &one,
                &check(Trouble::Busy),
                Some(Duration::from_secs(wanted)),
                now,
                0.0,
            );
            let at = now + Duration::from_secs(waits);
            let early = due(&mut schedule, at - Duration::from_secs(1));
            assert!(!early.contains(&all[0].to_owned()), "{wanted}: {early:?}");
            schedule.paused.clear();
            assert!(
                due(&mut schedule, at).contains(&all[0].to_owned()),
                "{wanted}"
            );
        }
        // What will not pass waits as long as what is fine; until there are other credentials.
        schedule.told(&one, &check(Trouble::Denied), None, now, 0.0);
        assert!(!due(&mut schedule, now + RETRY).contains(&all[0].to_owned()));
        schedule.again(Trouble::Gone, now);
        assert!(due(&mut schedule, now).is_empty());
        schedule.again(Trouble::Denied, now);
        assert_eq!(due(&mut schedule, now), ["a.example/x:1"]);
        // It is said again after it went well.
        schedule.told(&one, &listing(), None, now, 0.0);
        assert!(schedule.told(&one, &check(Trouble::Unreachable), None, now, 0.5));
    }

    #[test]
    fn each_registry_is_asked_for_one_at_once() {
        let (mut schedule, now) = (Schedule::new(EVERY), Instant::now());
        let slow = (0..9).map(|i| reference(&format!("a.example/x:{i}")));
        schedule.take(slow.chain([reference("b.example/y:1")]).collect(), now);
        let mut next = || {
            schedule
                .due(now)
                .map(|(reference, _)| reference.to_string())
        };
        assert_eq!(next().as_deref(), Some("a.example/x:0"));
        // It may take as long as it likes.
        assert_eq!(next().as_deref(), Some("b.example/y:1"));
        assert_eq!(next(), None);
        schedule.over("a.example");
        let next = schedule.due(now).map(|(reference, _)| reference);
        assert_eq!(next, Some(reference("a.example/x:1")));
        assert_eq!(schedule.due(now), None);
    }

    #[test]
    fn what_is_known_is_bounded() {
        let (mut schedule, now) = (Schedule::new(EVERY), Instant::now());
        let many = (0..MAX_TAGS + 3).map(|i| reference(&format!("a.example/x:{i}")));
        let many: BTreeSet<_> = many.collect();
        schedule.take(many.clone(), now);
        assert_eq!((schedule.entries.len(), schedule.left_out()), (MAX_TAGS, 3));
        schedule.take(many.into_iter().take(9).collect(), now);
        assert_eq!((schedule.entries.len(), schedule.left_out()), (9, 0));
    }
}
