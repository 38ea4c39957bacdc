//! A node that is none: what would run there, and how that changes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archtrace_facts::aggregate::{Reading, Table};
use archtrace_facts::fact::{Event, EventKind, FactId, FactKey, Mode};
use archtrace_facts::identity::Identity;
use archtrace_facts::image::Image;

use crate::ledger::{Ledger, Sums};
use crate::plan::Plan;
use crate::random::Random;

/// What runs on it, and what that has counted in this epoch.
#[derive(Debug)]
pub struct Node {
    plan: Arc<Plan>,
    index: usize,
    random: Random,
    places: Vec<Place>,
    next_counter: u32,
    /// How far its clock is off.
    clock: Clock,
}

/// How far a clock is off, either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Ahead(Duration),
    Behind(Duration),
}

#[derive(Debug)]
struct Place {
    generation: u32,
    facts: Vec<Counter>,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    id: u32,
    fact: FactId,
    now: Sums,
    processes: u64,
}

/// What is new, for whoever tells it: names first, as a real agent learns them.
#[derive(Debug)]
pub struct News {
    /// Whose a cgroup is.
    pub owner: Option<(String, Identity)>,
    /// The image of its container.
    pub image: Option<Image>,
    /// Cgroups that are gone.
    pub gone: Vec<String>,
}

impl Node {
    /// Node number `index` of a cluster, before anything runs.
    #[must_use]
    pub fn new(plan: Arc<Plan>, index: usize) -> Self {
        let random = Random::new(plan.seed, &[10, index as u64]);
        let place = |_| Place {
            generation: 0,
            facts: Vec::new(),
        };
        let places = (0..plan.places()).map(place).collect();
        Self {
            plan,
            index,
            random,
            places,
            next_counter: 0,
            clock: Clock::Ahead(Duration::ZERO),
        }
    }

    /// Number of the node within its cluster.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// What its clock shows.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        match self.clock {
            Clock::Ahead(by) => now + by,
            Clock::Behind(by) => now - by,
        }
    }

    /// Its clock jumps by up to an hour, ahead or back.
    pub fn jump(&mut self) {
        let by = Duration::from_millis(self.random.next() % 3_600_000);
        self.clock = if self.random.per_mille(500) {
            Clock::Ahead(by)
        } else {
            Clock::Behind(by)
        };
    }

    /// Starts everything: the first thing in an epoch.
    pub fn begin(&mut self, table: &mut Table<u32>, ledger: &mut Ledger) -> Vec<News> {
        (0..self.places.len())
            .map(|place| self.start(place, table, ledger))
            .collect()
    }

    /// Something is executed, or computes.
    pub fn count(&mut self, table: &mut Table<u32>, ledger: &mut Ledger) {
        let now = self.now();
        let place = self.random.below(self.places.len());
        let Some(place) = self.places.get_mut(place) else {
            return;
        };
        let fact = self.random.below(place.facts.len());
        let Some(counter) = place.facts.get_mut(fact) else {
            return;
        };
        let emulated = table
            .name_of(counter.id)
            .is_some_and(|key| key.mode == Mode::Emulated);
        counter.now.count += 1 + self.random.next() % 4;
        if emulated {
            counter.now.cpu_ns += 1 + self.random.next() % 1_000_000_000;
            counter.processes = self.random.next() % 8;
        }
        table.read(counter.id, counter.reading(now));
        ledger.set(counter.fact, counter.now, counter.processes);
    }

    /// A pod is replaced by another of its kind; `None` if the node has no pods.
    pub fn replace_pod(&mut self, table: &mut Table<u32>, ledger: &mut Ledger) -> Option<News> {
        let place = self.random.below(self.places.len());
        if !self.plan.is_pod(place) || self.places.is_empty() {
            return None;
        }
        let state = &mut self.places[place];
        let old = self.plan.place(self.index, place, state.generation);
        for counter in state.facts.drain(..) {
            table.forget(counter.id);
            ledger.retire(counter.fact);
        }
        state.generation += 1;
        let mut news = self.start(place, table, ledger);
        news.gone.push(old.cgroup);
        Some(news)
    }

    /// Something happened that is told at once.
    pub fn event(&mut self, ledger: &mut Ledger) -> Event {
        ledger.events += 1;
        let place = self.random.below(self.places.len());
        let generation = self.places.get(place).map_or(0, |place| place.generation);
        let cgroup = self.plan.place(self.index, place, generation).cgroup;
        let key = FactKey {
            mode: Mode::Failed,
            cause: Some(archtrace_facts::fact::Cause::ForeignElf),
            emulator: None,
            via: None,
            ..self.plan.key(self.index, place, generation, 0, &cgroup)
        };
        Event {
            time: self.now(),
            kind: EventKind::FailedExec,
            pid: 1000 + u32::try_from(self.random.below(4_000_000)).unwrap_or(0),
            comm: "containerd-shim".to_owned(),
            key,
            // ENOEXEC
            errno: 8,
            count: ledger.events,
            instruction: None,
        }
    }

    fn start(&mut self, place: usize, table: &mut Table<u32>, ledger: &mut Ledger) -> News {
        let now = self.now();
        let generation = self.places[place].generation;
        let found = self.plan.place(self.index, place, generation);
        let facts = self.plan.facts_of(place);
        let counters = (0..facts).filter_map(|fact| {
            let key = self
                .plan
                .key(self.index, place, generation, fact, &found.cgroup);
            let emulated = key.mode == Mode::Emulated;
            let counter = Counter {
                id: self.next_counter,
                fact: key.id(),
                now: Sums {
                    count: 1,
                    cpu_ns: u64::from(emulated),
                },
                processes: u64::from(emulated),
            };
            self.next_counter = self.next_counter.wrapping_add(1);
            // Nodes are made with fewer facts than a table holds.
            table.name(counter.id, key, now).ok()?;
            table.read(counter.id, counter.reading(now));
            ledger.set(counter.fact, counter.now, counter.processes);
            Some(counter)
        });
        self.places[place].facts = counters.collect();
        News {
            owner: found.owner.map(|owner| (found.cgroup, owner)),
            image: found.image,
            gone: Vec::new(),
        }
    }
}

impl Counter {
    fn reading(&self, last: SystemTime) -> Reading {
        Reading {
            count: self.now.count,
            cpu_ns: self.now.cpu_ns,
            processes: self.processes,
            last,
        }
    }
}
