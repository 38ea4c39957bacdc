//! A copy of what the outbox holds, with what readers need besides: an order, and versions.
//!
//! It is brought up to date by short looks at the outbox, which is locked for some hundred facts at a
//! time, and only if something changed.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use archtrace_facts::fact::{Fact, FactId};
use archtrace_facts::identity::{Identity, of_cgroup};
use archtrace_facts::image::Image;
use archtrace_facts::report::Record;
use archtrace_sink::Outbox;

/// Facts, owners or records that are looked at while the outbox is locked: some ten microseconds.
const AT_ONCE: usize = 256;

/// Facts that the agent does not keep any more, and that are told as history while the mirror lives.
const HISTORY: usize = 256;

/// Numbers that must not be used twice, though the mirror is dropped and made again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    /// How many changes there were.
    pub(super) version: i64,
    /// The last place that was given in the order of facts and images.
    pub(super) place: i64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) numbers: Numbers,
    /// Places from here on are this mirror's.
    pub(super) first_place: i64,
    pub(super) facts: HashMap<FactId, Known>,
    /// The facts in their order.
    pub(super) order: BTreeMap<i64, FactId>,
    pub(super) images: BTreeMap<i64, Image>,
    places: HashMap<String, i64>,
    pub(super) records: VecDeque<Noted>,
    identities: HashMap<String, Arc<Identity>>,
    ended: VecDeque<FactId>,
    /// Versions of the outbox's table and owners that were looked at.
    table: Option<u64>,
    owners: Option<u64>,
    /// Number of the next record.
    next: u64,
}

/// A fact.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) fact: Fact,
    pub(super) identity: Arc<Identity>,
    pub(super) place: i64,
    pub(super) version: i64,
    /// The agent does not keep it any more.
    pub(super) ended: bool,
}

/// A record.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub(super) number: u64,
    pub(super) version: i64,
    pub(super) record: Record,
    pub(super) identity: Arc<Identity>,
}

impl Mirror {
    /// One that holds nothing yet.
    pub(super) fn new(numbers: Numbers) -> Self {
        Self {
            numbers,
            first_place: numbers.place + 1,
            facts: HashMap::new(),
            order: BTreeMap::new(),
            images: BTreeMap::new(),
            places: HashMap::new(),
            records: VecDeque::new(),
            identities: HashMap::new(),
            ended: VecDeque::new(),
            table: None,
            owners: None,
            next: 0,
        }
    }

    /// Takes over what changed.
    pub(super) fn refresh<C: Copy + Eq + Hash>(&mut self, outbox: &Outbox<C>) {
        let (table, owners, next) = {
            let contents = outbox.lock();
            (
                contents.table.version(),
                contents.owners.version(),
                contents.recent.next(),
            )
        };
        let version = self.numbers.version + 1;
        let mut changed = false;
        // Names first, so that what is new has its own at once.
        if self.owners != Some(owners) {
            changed |= self.read_owners(outbox, version);
            self.read_images(outbox);
            self.owners = Some(owners);
        }
        if self.table != Some(table) {
            changed |= self.read_facts(outbox, version);
            self.table = Some(table);
        }
        if self.next != next {
            changed |= self.read_records(outbox, version);
            // No more than the outbox, which bounds their bytes too.
            let contents = outbox.lock();
            self.records
                .retain(|noted| contents.recent.keeps(noted.number));
        }
        if changed {
            self.numbers.version = version;
        }
        self.tidy();
    }

    fn read_facts<C: Copy + Eq + Hash>(&mut self, outbox: &Outbox<C>, version: i64) -> bool {
        let ids: Vec<_> = outbox.lock().table.ids().collect();
        let mut seen = HashSet::with_capacity(ids.len());
        let mut new: Vec<(FactId, Fact)> = Vec::new();
        let mut changed = false;
        for ids in ids.chunks(AT_ONCE) {
            let contents = outbox.lock();
            for id in ids {
                // One that is gone meanwhile is not seen.
                let Some(fact) = contents.table.fact(*id) else {
                    continue;
                };
                seen.insert(*id);
                match self.facts.get_mut(id) {
                    Some(known) if known.fact == *fact && !known.ended => {}
                    Some(known) => {
                        known.fact.clone_from(fact);
                        known.ended = false;
                        known.version = version;
                        changed = true;
                    }
                    None => new.push((*id, fact.clone())),
                }
            }
        }
        for (id, known) in &mut self.facts {
            if !known.ended && !seen.contains(id) {
                known.ended = true;
                known.fact.processes = 0;
                known.version = version;
                self.ended.push_back(*id);
                changed = true;
            }
        }
        changed |= !new.is_empty();
        // Those that were seen last come first in lists.
        new.sort_unstable_by_key(|(id, fact)| (fact.first_seen, *id));
        for (id, fact) in new {
            let identity = self.identity(outbox, &fact.key.cgroup);
            self.numbers.place += 1;
            let place = self.numbers.place;
            self.order.insert(place, id);
            let known = Known {
                fact,
                identity,
                place,
                version,
                ended: false,
            };
            self.facts.insert(id, known);
        }
        changed
    }

    /// What a cgroup's path says holds until its owner is known, and what was known of one holds when the
    /// outbox has forgotten it.
    fn identity<C: Copy + Eq + Hash>(&mut self, outbox: &Outbox<C>, cgroup: &str) -> Arc<Identity> {
        if let Some(identity) = self.identities.get(cgroup) {
            return Arc::clone(identity);
        }
        let owner = outbox.lock().owners.owner(cgroup).cloned();
        let identity = Arc::new(owner.unwrap_or_else(|| of_cgroup(cgroup)));
        self.identities
            .insert(cgroup.to_owned(), Arc::clone(&identity));
        identity
    }

    fn read_owners<C: Copy + Eq + Hash>(&mut self, outbox: &Outbox<C>, version: i64) -> bool {
        let mut cgroups: Vec<_> = self.identities.iter_mut().collect();
        let mut changed = HashMap::new();
        for cgroups in cgroups.chunks_mut(AT_ONCE) {
            let contents = outbox.lock();
            for (cgroup, identity) in cgroups {
                let owner = contents.owners.owner(cgroup);
                if let Some(owner) = owner.filter(|owner| **owner != ***identity) {
                    **identity = Arc::new(owner.clone());
                    changed.insert(cgroup.clone(), Arc::clone(identity));
                }
            }
        }
        if changed.is_empty() {
            return false;
        }
        for known in self.facts.values_mut() {
            if let Some(identity) = changed.get(&known.fact.key.cgroup) {
                known.identity = Arc::clone(identity);
                known.version = version;
            }
        }
        for noted in &mut self.records {
            if let Record::Event(event) = &noted.record
                && let Some(identity) = changed.get(&event.key.cgroup)
            {
                noted.identity = Arc::clone(identity);
            }
        }
        true
    }

    fn read_images<C: Copy + Eq + Hash>(&mut self, outbox: &Outbox<C>) {
        let contents = outbox.lock();
        for image in contents.owners.images() {
            let place = self.places.get(&image.id).copied().unwrap_or_else(|| {
                self.numbers.place += 1;
                self.numbers.place
            });
            if self.images.get(&place) != Some(image) {
                self.places.insert(image.id.clone(), place);
                self.images.insert(place, image.clone());
            }
        }
    }

    fn read_records<C: Copy + Eq + Hash>(&mut self, outbox: &Outbox<C>, version: i64) -> bool {
        let mut changed = false;
        loop {
            let (records, next) = {
                let contents = outbox.lock();
                let recent = &contents.recent;
                (recent.since(self.next, AT_ONCE), recent.next())
            };
            let is_last = records.len() < AT_ONCE;
            for (number, record) in records {
                let identity = match &record {
                    Record::Event(event) => self.identity(outbox, &event.key.cgroup),
                    Record::Loss(_) | Record::Handler(_) => Arc::default(),
                };
                self.next = number + 1;
                self.records.push_back(Noted {
                    number,
                    version,
                    record,
                    identity,
                });
                changed = true;
            }
            if is_last {
                self.next = next;
                return changed;
            }
        }
    }

    /// Keeps a little history.
    fn tidy(&mut self) {
        while self.ended.len() > HISTORY {
            let Some(id) = self.ended.pop_front() else {
                break;
            };
            // It may have come back.
            if let Some(known) = self.facts.get(&id).filter(|known| known.ended) {
                self.order.remove(&known.place);
                self.facts.remove(&id);
            }
        }
        if self.identities.len() > self.facts.len() + self.records.len() {
            let facts = self.facts.values().map(|known| &known.fact.key.cgroup);
            let events = self.records.iter().filter_map(|noted| match &noted.record {
                Record::Event(event) => Some(&event.key.cgroup),
                Record::Loss(_) | Record::Handler(_) => None,
            });
            let used: HashSet<_> = facts.chain(events).map(String::as_str).collect();
            self.identities
                .retain(|cgroup, _| used.contains(cgroup.as_str()));
        }
    }
}
