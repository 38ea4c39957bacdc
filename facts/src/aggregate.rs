//! Kernel counters and names become facts; what changed since it was last told is remembered.
//!
//! The kernel counts by inode, people think in names: several counters may feed one fact (a file
//! that was replaced in place). Counters arrive before or after their name, in any order.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::time::{Duration, SystemTime};

use crate::digest::Digest;
use crate::fact::{Fact, FactId, FactKey, Mode};
use crate::report::how_many_fit;

/// How often it is told that something still runs, where nothing else has changed.
const SEEN_INTERVAL: Duration = Duration::from_secs(5);

/// What a kernel counter shows: all cumulative, but `processes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Execs.
    pub count: u64,
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// Processes alive.
    pub processes: u64,
    /// When the last exec was.
    pub last: SystemTime,
}

/// What changed since it was last asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Facts that are new or have new numbers.
    pub upserts: Vec<Fact>,
    /// Facts that are not kept any more. Their last numbers are among `upserts`, which are to be
    /// taken in first.
    pub removed: Vec<FactId>,
}

/// The facts of one node in one epoch. `C` identifies a kernel counter.
#[derive(Debug)]
pub struct Table<C> {
    counters: HashMap<C, Counter>,
    facts: HashMap<FactId, Entry>,
    dirty: HashSet<FactId>,
    /// Facts that were given up, which nobody was told of yet.
    removed: HashMap<FactId, GivenUp>,
    /// Those who somebody was told of, but who has not confirmed it.
    unconfirmed: HashMap<FactId, Fact>,
    /// Facts whose last numbers found no room, because nobody takes the changes.
    dropped: u64,
    /// Of what was told and not taken back: the sum of all `told`, and of what was dropped untold.
    digest: Digest,
    /// How often a fact changed, came or went.
    version: u64,
    capacity: usize,
}

/// The table holds as many facts as it was made for; this one has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table of facts is full")]
pub struct Full;

#[derive(Debug)]
struct Counter {
    fact: Option<FactId>,
    reading: Reading,
}

#[derive(Debug)]
struct Entry {
    fact: Fact,
    /// As whoever is told has it; that of no fact until it was told.
    told: Digest,
    /// Counters that feed it.
    counters: usize,
}

#[derive(Debug)]
struct GivenUp {
    fact: Fact,
    /// As in [`Entry`].
    told: Digest,
}

impl<C: Copy + Eq + Hash> Table<C> {
    /// A table of at most `capacity` facts.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            counters: HashMap::new(),
            facts: HashMap::new(),
            dirty: HashSet::new(),
            removed: HashMap::new(),
            unconfirmed: HashMap::new(),
            dropped: 0,
            digest: Digest::default(),
            version: 0,
            capacity,
        }
    }

    /// How many facts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// The names of all facts.
    pub fn ids(&self) -> impl Iterator<Item = FactId> {
        self.facts.keys().copied()
    }

    /// A fact by its name.
    #[must_use]
    pub fn fact(&self, id: FactId) -> Option<&Fact> {
        self.facts.get(&id).map(|entry| &entry.fact)
    }

    /// A number that another is as soon as a fact changed, came or went.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether a counter has its name.
    #[must_use]
    pub fn is_named(&self, counter: C) -> bool {
        self.counters
            .get(&counter)
            .is_some_and(|counter| counter.fact.is_some())
    }

    /// The name of a counter, if it has one.
    #[must_use]
    pub fn name_of(&self, counter: C) -> Option<&FactKey> {
        let id = self.counters.get(&counter)?.fact?;
        self.facts.get(&id).map(|entry| &entry.fact.key)
    }

    /// Names a counter, of which something was seen at `time`. The first name stays: programs that
    /// go by several (busybox) share an inode, and so a counter.
    ///
    /// # Errors
    /// [`Full`] if this would be one fact more than the table holds.
    pub fn name(&mut self, counter: C, key: FactKey, time: SystemTime) -> Result<(), Full> {
        if self.is_named(counter) {
            return Ok(());
        }
        let id = key.id();
        if !self.facts.contains_key(&id) && self.facts.len() >= self.capacity {
            return Err(Full);
        }
        let given_up = self.removed.remove(&id);
        let entry = self.facts.entry(id).or_insert_with(|| {
            // One that was given up a moment ago goes on where it was.
            let GivenUp { fact, told } = given_up.unwrap_or(GivenUp {
                fact: Fact {
                    key,
                    count: 0,
                    processes: 0,
                    cpu_ns: 0,
                    first_seen: time,
                    last_seen: time,
                },
                told: Digest::default(),
            });
            Entry {
                fact,
                told,
                counters: 0,
            }
        });
        entry.counters += 1;
        entry.fact.first_seen = entry.fact.first_seen.min(time);
        entry.fact.last_seen = entry.fact.last_seen.max(time);
        let counter = self
            .counters
            .entry(counter)
            .or_insert_with(|| Counter::new(time));
        counter.fact = Some(id);
        let so_far = counter.reading;
        entry.add(Reading::zero(time), so_far);
        self.dirty.insert(id);
        self.version += 1;
        Ok(())
    }

    /// Takes a reading of a counter.
    pub fn read(&mut self, counter: C, reading: Reading) {
        let counter = self
            .counters
            .entry(counter)
            .or_insert_with(|| Counter::new(reading.last));
        let before = counter.reading;
        // CPU time is sampled from several places at different moments and may seem to step back.
        let reading = Reading {
            count: reading.count.max(before.count),
            cpu_ns: reading.cpu_ns.max(before.cpu_ns),
            ..reading
        };
        let same = (reading.count, reading.cpu_ns, reading.processes)
            == (before.count, before.cpu_ns, before.processes);
        let seen_lately = reading.last < before.last + SEEN_INTERVAL;
        if same && (reading.processes == 0 || seen_lately) {
            return;
        }
        counter.reading = reading;
        if let Some(id) = counter.fact
            && let Some(entry) = self.facts.get_mut(&id)
        {
            entry.add(before, reading);
            self.dirty.insert(id);
            self.version += 1;
        }
    }

    /// A counter is gone. What it counted stays in its fact; a fact without counters is given up
    /// (whoever was told of it keeps it as history).
    pub fn forget(&mut self, counter: C) {
        let Some(Counter {
            fact: Some(id),
            reading,
        }) = self.counters.remove(&counter)
        else {
            return;
        };
        let Some(entry) = self.facts.get_mut(&id) else {
            return;
        };
        self.version += 1;
        entry.fact.processes = entry.fact.processes.saturating_sub(reading.processes);
        entry.counters -= 1;
        if entry.counters > 0 {
            self.dirty.insert(id);
            return;
        }
        self.dirty.remove(&id);
        if let Some(Entry { fact, told, .. }) = self.facts.remove(&id) {
            if self.removed.len() + self.unconfirmed.len() < self.capacity {
                self.removed.insert(id, GivenUp { fact, told });
            } else {
                self.dropped += 1;
            }
        }
    }

    /// Whether [`Table::take_changes`] would return anything.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.dirty.is_empty() || !self.removed.is_empty()
    }

    /// How many facts were dropped untold since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// What was told so far has arrived.
    pub fn confirm(&mut self) {
        self.unconfirmed.clear();
    }

    /// Whether facts were told to be given up, and whether that has arrived is not known: then a snapshot
    /// that holds them again would be added to what may have been taken in.
    #[must_use]
    pub fn has_unconfirmed(&self) -> bool {
        !self.unconfirmed.is_empty()
    }

    /// The digest of what whoever is told holds, once all that was taken has arrived: after
    /// [`Table::take_changes`] or [`Table::take_snapshot`], that of this update.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Changes of about `bytes` bytes and at most `items` upserts and removals (a removal is both, and
    /// one change goes whatever the limits), which are not told again. Facts that somebody should act
    /// on come first.
    pub fn take_changes(&mut self, bytes: usize, items: usize) -> Changes {
        let mut ids: Vec<_> = self.dirty.iter().copied().collect();
        ids.sort_unstable_by_key(|id| (self.is_native(*id), *id));
        let changed = ids.iter().filter_map(|id| self.facts.get(id));
        let given_up = self.removed.values().map(|given_up| &given_up.fact);
        let weights = changed.map(|entry| &entry.fact).chain(given_up);
        let fit = how_many_fit(bytes, weights.map(|fact| fact.key.weight()));
        let items = items.max(1);
        // At least one, where nothing else is to be told.
        let removals = fit.saturating_sub(ids.len());
        let removals =
            removals.min((items.saturating_sub(ids.len()) / 2).max(usize::from(ids.is_empty())));
        ids.truncate(fit.min(items));
        let mut upserts = Vec::with_capacity(ids.len() + removals);
        for id in &ids {
            self.dirty.remove(id);
            if let Some(entry) = self.facts.get_mut(id) {
                let now = Digest::of_fact(&entry.fact);
                self.digest = self.digest.minus(entry.told).plus(now);
                entry.told = now;
                upserts.push(entry.fact.clone());
            }
        }
        let removed: Vec<_> = self.removed.keys().copied().take(removals).collect();
        for id in &removed {
            if let Some(GivenUp { fact, told }) = self.removed.remove(id) {
                self.digest = self.digest.minus(told);
                upserts.push(fact.clone());
                self.unconfirmed.insert(*id, fact);
            }
        }
        Changes { upserts, removed }
    }

    /// All facts, also those whose removal is yet to be told or was not confirmed; nothing else
    /// counts as changed afterwards.
    pub fn take_snapshot(&mut self) -> Vec<Fact> {
        self.dirty.clear();
        for (id, fact) in self.unconfirmed.drain() {
            if !self.facts.contains_key(&id) {
                let told = Digest::default();
                self.removed.insert(id, GivenUp { fact, told });
            }
        }
        self.digest = Digest::default();
        let kept = self.facts.values_mut();
        let kept = kept.map(|entry| (&entry.fact, &mut entry.told));
        let given_up = self.removed.values_mut();
        let given_up = given_up.map(|given_up| (&given_up.fact, &mut given_up.told));
        let mut facts = Vec::new();
        for (fact, told) in kept.chain(given_up) {
            *told = Digest::of_fact(fact);
            self.digest = self.digest.plus(*told);
            facts.push(fact.clone());
        }
        facts
    }

    fn is_native(&self, id: FactId) -> bool {
        self.facts
            .get(&id)
            .is_some_and(|entry| entry.fact.key.mode == Mode::Native)
    }
}

impl Counter {
    fn new(time: SystemTime) -> Self {
        Self {
            fact: None,
            reading: Reading::zero(time),
        }
    }
}

impl Reading {
    fn zero(time: SystemTime) -> Self {
        Self {
            count: 0,
            cpu_ns: 0,
            processes: 0,
            last: time,
        }
    }
}

impl Entry {
    /// A counter went from `before` to `now`.
    fn add(&mut self, before: Reading, now: Reading) {
        let Fact {
            count,
            processes,
            cpu_ns,
            last_seen,
            ..
        } = &mut self.fact;
        *count += now.count - before.count;
        *cpu_ns += now.cpu_ns - before.cpu_ns;
        *processes = (*processes + now.processes).saturating_sub(before.processes);
        *last_seen = (*last_seen).max(now.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use crate::fact::Via;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn key(binary: &str) -> FactKey {
        FactKey {
            cgroup: "/".to_owned(),
            binary: binary.to_owned(),
            path_resolved: true,
            arch: Arch::Arm64,
            mode: Mode::Emulated,
            emulator: Some("/qemu".to_owned()),
            via: Some(Via::BinfmtMisc),
            cause: None,
        }
    }

    fn reading(count: u64, cpu_ns: u64, processes: u64, last: u64) -> Reading {
        Reading {
            count,
            cpu_ns,
            processes,
            last: at(last),
        }
    }

    #[test]
    fn counts_wait_for_their_name() {
        let mut table = Table::new(10);
        table.read(1, reading(3, 50, 1, 5));
        assert!(!table.has_changes());
        table.name(1, key("/a"), at(2)).expect("room");
        let fact = &table.take_changes(10_000, usize::MAX).upserts[0];
        assert_eq!((fact.count, fact.cpu_ns, fact.processes), (3, 50, 1));
        assert_eq!((fact.first_seen, fact.last_seen), (at(2), at(5)));
        assert!(!table.has_changes());
    }

    #[test]
    fn counters_of_one_name_add_up_and_outlive_each_other() {
        let mut table = Table::new(10);
        for counter in [1, 2] {
            table.name(counter, key("/a"), at(1)).expect("room");
            table.read(counter, reading(5, 10, 1, 2));
        }
        table.forget(1);
        let fact = &table.take_changes(10_000, usize::MAX).upserts[0];
        assert_eq!((fact.count, fact.cpu_ns, fact.processes), (10, 20, 1));
        table.forget(2);
        // Its last numbers go with it, and a snapshot in between does not lose them; nor does one
        // that follows because nobody confirmed them.
        for _ in 0..2 {
            assert_eq!(table.take_snapshot()[0].count, 10);
            let changes = table.take_changes(10_000, usize::MAX);
            assert_eq!(changes.upserts[0].count, 10);
            assert_eq!(changes.removed, [key("/a").id()]);
        }
        table.confirm();
        assert!(table.take_snapshot().is_empty());
        assert!(!table.has_changes());
    }

    #[test]
    fn a_fact_that_comes_back_before_its_removal_was_told_goes_on() {
        let mut table = Table::new(10);
        table.name(1, key("/a"), at(1)).expect("room");
        table.read(1, reading(5, 10, 0, 2));
        table.forget(1);
        table.name(2, key("/a"), at(3)).expect("room");
        table.read(2, reading(1, 1, 0, 3));
        let changes = table.take_changes(10_000, usize::MAX);
        assert_eq!((changes.upserts[0].count, changes.removed.len()), (6, 0));
    }

    #[test]
    fn time_that_seems_to_step_back_is_not_counted_twice() {
        let mut table = Table::new(10);
        table.name(1, key("/a"), at(1)).expect("room");
        for cpu_ns in [100, 95, 105] {
            table.read(1, reading(1, cpu_ns, 1, 2));
        }
        assert_eq!(
            table.take_changes(10_000, usize::MAX).upserts[0].cpu_ns,
            105
        );
    }

    #[test]
    fn looking_again_changes_nothing_unless_it_runs() {
        let mut table = Table::new(10);
        for (counter, processes) in [(1, 0), (2, 1)] {
            table
                .name(counter, key(&format!("/{counter}")), at(1))
                .expect("room");
            table.read(counter, reading(1, 9, processes, 2));
        }
        table.take_changes(10_000, usize::MAX);
        for (later, told) in [(3, 0), (6, 0), (7, 1), (8, 0), (12, 1)] {
            table.read(1, reading(1, 9, 0, later));
            table.read(2, reading(1, 9, 1, later));
            assert_eq!(
                table.take_changes(10_000, usize::MAX).upserts.len(),
                told,
                "{later}"
            );
        }
        let last_seen = |binary: &str| {
            let facts = table.facts.values().map(|entry| &entry.fact);
            facts
                .filter(|fact| fact.key.binary == binary)
                .map(|fact| fact.last_seen)
                .max()
        };
        assert_eq!(
            (last_seen("/1"), last_seen("/2")),
            (Some(at(2)), Some(at(12)))
        );
    }

    #[test]
    fn what_somebody_should_act_on_is_told_first() {
        let mut table = Table::new(10);
        for counter in 0..5 {
            let mut native = key(&format!("/{counter}"));
            native.mode = Mode::Native;
            table.name(counter, native, at(1)).expect("room");
        }
        table.name(9, key("/emulated"), at(1)).expect("room");
        assert_eq!(
            table.take_changes(1, usize::MAX).upserts[0].key.binary,
            "/emulated"
        );
    }

    #[test]
    fn whoever_looks_sees_whether_something_changed() {
        let mut table = Table::new(10);
        let steps: [fn(&mut Table<i32>); 4] = [
            |table| table.name(1, key("/a"), at(1)).expect("room"),
            |table| table.read(1, reading(5, 10, 1, 2)),
            |table| table.read(1, reading(6, 10, 1, 3)),
            |table| table.forget(1),
        ];
        for step in steps {
            let before = table.version();
            step(&mut table);
            assert_ne!(table.version(), before);
            let facts: Vec<_> = table.ids().filter_map(|id| table.fact(id)).collect();
            assert_eq!(facts.len(), table.len());
        }
        table.name(1, key("/a"), at(1)).expect("room");
        table.read(1, reading(9, 10, 0, 2));
        let before = table.version();
        table.read(1, reading(9, 10, 0, 2));
        table.take_snapshot();
        assert_eq!(table.version(), before, "looking changes nothing");
    }

    #[test]
    fn a_full_table_says_so_and_keeps_what_it_has() {
        let mut table = Table::new(1);
        assert_eq!(table.name(1, key("/a"), at(1)), Ok(()));
        assert_eq!(table.name(2, key("/b"), at(1)), Err(Full));
        assert_eq!(table.name(3, key("/a"), at(1)), Ok(()));
        assert_eq!(table.take_snapshot().len(), 1);
    }

    proptest! {
        /// Whatever the order of names, readings and deltas: what was told adds up.
        #[test]
        fn deltas_add_up_to_the_counters(steps in prop::collection::vec((0_u8..6, 0_u8..3, 0_u64..9), 1..60)) {
            let mut table = Table::new(100);
            let mut counters = HashMap::<u8, Reading>::new();
            let mut told = HashMap::new();
            for (counter, action, by) in steps {
                match action {
                    0 => {
                        let now = counters.entry(counter).or_insert(reading(0, 0, 0, 0));
                        now.count += by;
                        table.read(counter, *now);
                    }
                    1 => table.name(counter, key(&format!("/{}", counter / 2)), at(0)).expect("room"),
                    _ => told.extend(table.take_changes(300, usize::MAX).upserts.into_iter().map(|fact| (fact.key.clone(), fact.count))),
                }
            }
            for counter in 0..6 {
                table.name(counter, key(&format!("/{}", counter / 2)), at(0)).expect("room");
            }
            told.extend(table.take_changes(100_000, usize::MAX).upserts.into_iter().map(|fact| (fact.key.clone(), fact.count)));
            let counted: u64 = counters.values().map(|reading| reading.count).sum();
            prop_assert_eq!(told.values().sum::<u64>(), counted);
        }

        /// Whatever the order: the digest is that of what a receiver of all updates holds.
        #[test]
        fn the_digest_is_that_of_what_was_told(steps in prop::collection::vec((0_u8..8, 0_u8..7, 0_u64..9), 1..80)) {
            let mut table = Table::new(6);
            let mut held = HashMap::<FactId, Fact>::new();
            let mut counts = HashMap::<u8, u64>::new();
            for (counter, action, by) in steps {
                let changes = match action {
                    0 => {
                        let count = counts.entry(counter).or_default();
                        *count += by;
                        table.read(counter, reading(*count, *count * 3, by, 0));
                        continue;
                    }
                    1 | 2 => {
                        // A full table is one of the cases.
                        let _ = table.name(counter, key(&format!("/{}", counter / 2)), at(0));
                        continue;
                    }
                    3 => {
                        counts.remove(&counter);
                        table.forget(counter);
                        continue;
                    }
                    4 => {
                        table.confirm();
                        continue;
                    }
                    5 => {
                        held.clear();
                        Changes { upserts: table.take_snapshot(), removed: Vec::new() }
                    }
                    _ => {
                        let items = usize::try_from(by).expect("small");
                        let changes = table.take_changes(400 * items, items);
                        let told = changes.upserts.len() + changes.removed.len();
                        prop_assert!(told <= items.max(2));
                        changes
                    }
                };
                held.extend(changes.upserts.into_iter().map(|fact| (fact.key.id(), fact)));
                for id in changes.removed {
                    prop_assert!(held.remove(&id).is_some());
                }
                let recomputed: Digest = held.values().map(Digest::of_fact).sum();
                prop_assert_eq!(table.digest(), recomputed);
            }
        }
    }
}
