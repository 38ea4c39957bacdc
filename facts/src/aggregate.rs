//! Kernel counters and names become facts; what changed since it was last told is remembered.
//!
//! The kernel counts by inode, people think in names: several counters may feed one fact (a file
//! that was replaced in place). Counters arrive before or after their name, in any order.

mod told;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::time::{Duration, SystemTime};

use crate::digest::Digest;
use crate::fact::{Fact, FactId, FactKey, Mode};

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
    totals: BTreeMap<(Mode, &'static str), Total>,
    capacity: usize,
}

/// What all facts of one kind counted, those that were given up included: it only ever grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Execs.
    pub execs: u64,
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
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
            totals: BTreeMap::new(),
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

    /// What was counted under any name so far, by mode and the word of the architecture ([`Arch::word`]).
    ///
    /// [`Arch::word`]: crate::arch::Arch::word
    #[must_use]
    pub fn totals(&self) -> &BTreeMap<(Mode, &'static str), Total> {
        &self.totals
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
        entry.add(Reading::zero(time), so_far, &mut self.totals);
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
            entry.add(before, reading, &mut self.totals);
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
    fn add(
        &mut self,
        before: Reading,
        now: Reading,
        totals: &mut BTreeMap<(Mode, &'static str), Total>,
    ) {
        let FactKey { mode, arch, .. } = self.fact.key;
        let total = totals.entry((mode, arch.word())).or_default();
        total.execs += now.count - before.count;
        total.cpu_ns += now.cpu_ns - before.cpu_ns;
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
mod tests;
