//! Facts as rows: what an update makes of those that are stored.

mod write;

pub(super) use write::forget_left_out;

use std::collections::HashMap;

use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Fact, FactId, FactKey, Mode};
use tokio_postgres::Row;

use super::cost::Burnt;
use super::pool::Transaction;
use crate::store::sql::{Failure, from_count, from_time, to_count, to_random};

/// An agent's own counters of a fact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    count: u64,
    cpu_ns: u64,
}

/// What has to be known of a stored fact to change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    row: i64,
    live: bool,
    processes: i64,
    first_seen: i64,
    last_seen: i64,
    /// Which agent told of it last, and what that one's counters stood at.
    epoch: i64,
    told: Told,
    /// Sums over epochs.
    count: i64,
    cpu_ns: i64,
}

/// Reads the columns `key_id`, `id`, `live`, `processes`, `first_seen`, `last_seen`, `epoch`, `agent_count`,
/// `agent_cpu_ns`, `count`, `cpu_ns`.
pub(super) fn read_stored(row: &Row) -> Result<(FactId, Stored), Failure> {
    let id: &[u8] = row.try_get(0)?;
    let stored = Stored {
        row: row.try_get(1)?,
        live: row.try_get(2)?,
        processes: row.try_get(3)?,
        first_seen: row.try_get(4)?,
        last_seen: row.try_get(5)?,
        epoch: row.try_get(6)?,
        told: Told {
            count: to_random(row.try_get(7)?),
            cpu_ns: to_random(row.try_get(8)?),
        },
        count: row.try_get(9)?,
        cpu_ns: row.try_get(10)?,
    };
    Ok((FactId(id.try_into()?), stored))
}

/// One fact on its way.
#[derive(Clone, Debug)]
struct Place {
    id: FactId,
    /// What the rest of a new row is.
    key: Option<FactKey>,
    had: Option<Stored>,
    has: Stored,
    /// An update named it.
    named: bool,
}

/// The facts of a node that an update is about.
#[derive(Debug)]
pub(super) struct Rows {
    epoch: i64,
    /// In the order in which they came, which is that of new rows.
    places: Vec<Place>,
    by_id: HashMap<FactId, usize>,
    /// What agents of this epoch had told of facts that another one told of since.
    earlier: HashMap<i64, Told>,
    aside: Vec<(i64, i64, Told)>,
    burnt: Vec<Burnt>,
}

impl Rows {
    pub(super) fn new(epoch: i64, stored: Vec<(FactId, Stored)>) -> Self {
        let places = stored.into_iter().map(|(id, stored)| Place {
            id,
            key: None,
            had: Some(stored),
            has: stored,
            named: false,
        });
        let places: Vec<_> = places.collect();
        let by_id = places
            .iter()
            .enumerate()
            .map(|(at, place)| (place.id, at))
            .collect();
        Self {
            epoch,
            places,
            by_id,
            earlier: HashMap::new(),
            aside: Vec::new(),
            burnt: Vec::new(),
        }
    }

    /// Finds what an agent that came back had told before.
    pub(super) async fn find_earlier(&mut self, tx: &Transaction) -> Result<(), Failure> {
        let others = self
            .places
            .iter()
            .filter(|place| place.has.epoch != self.epoch);
        let others: Vec<_> = others.map(|place| place.has.row).collect();
        if others.is_empty() {
            return Ok(());
        }
        let rows = tx
            .rows(
                "SELECT fact_id, agent_count, agent_cpu_ns FROM fact_epoch
                 WHERE fact_id = ANY($1) AND epoch = $2",
                &[&others, &self.epoch],
            )
            .await?;
        for row in &rows {
            let told = Told {
                count: to_random(row.try_get(1)?),
                cpu_ns: to_random(row.try_get(2)?),
            };
            self.earlier.insert(row.try_get(0)?, told);
        }
        Ok(())
    }

    /// Takes over a fact as the agent tells it.
    pub(super) fn upsert(&mut self, fact: &Fact) {
        let (id, epoch) = (fact.key.id(), self.epoch);
        let told = Told {
            count: fact.count,
            cpu_ns: fact.cpu_ns,
        };
        let seen = [fact.first_seen, fact.last_seen].map(from_time);
        let at = *self.by_id.entry(id).or_insert_with(|| {
            self.places.push(Place {
                id,
                key: Some(fact.key.clone()),
                had: None,
                has: Stored {
                    row: 0,
                    live: true,
                    processes: 0,
                    first_seen: seen[0],
                    last_seen: seen[1],
                    epoch,
                    told: Told::default(),
                    count: 0,
                    cpu_ns: 0,
                },
                named: false,
            });
            self.places.len() - 1
        });
        let place = &mut self.places[at];
        place.named = true;
        let has = &mut place.has;
        if has.epoch != epoch {
            // Put aside, should that agent come back.
            if has.told != Told::default() {
                self.aside.push((has.row, has.epoch, has.told));
            }
            has.told = self.earlier.get(&has.row).copied().unwrap_or_default();
            has.epoch = epoch;
        }
        let cpu_ns = from_count(told.cpu_ns) - from_count(has.told.cpu_ns);
        if fact.key.mode == Mode::Emulated && cpu_ns != 0 {
            self.burnt.push(Burnt {
                cgroup: fact.key.cgroup.clone(),
                since: seen[0],
                cpu_ns,
            });
        }
        // All are at least 0; a sum that does not fit stays at the highest number.
        let more = |sum: i64, had: u64, has: u64| {
            (sum - from_count(had))
                .max(0)
                .saturating_add(from_count(has))
        };
        *has = Stored {
            live: true,
            processes: from_count(fact.processes),
            first_seen: has.first_seen.min(seen[0]),
            last_seen: has.last_seen.max(seen[1]),
            count: more(has.count, has.told.count, told.count),
            cpu_ns: more(has.cpu_ns, has.told.cpu_ns, told.cpu_ns),
            told,
            ..*has
        };
    }

    /// The agent dropped a fact: it stays as history, and the agent would count it from zero.
    pub(super) fn retire(&mut self, id: FactId) {
        if let Some(place) = self.by_id.get(&id).and_then(|at| self.places.get_mut(*at)) {
            retire(&mut place.has);
        }
    }

    /// The agent dropped what it did not name.
    pub(super) fn retire_others(&mut self) {
        for place in self.places.iter_mut().filter(|place| !place.named) {
            retire(&mut place.has);
        }
    }

    /// What is to be written, and the digest that the node has then: `had` with what changes of it. With
    /// none, all that is live is here: a snapshot sets right what went wrong before.
    pub(super) fn decide(self, had: Option<Digest>) -> Decided {
        let mut decided = Decided {
            digest: had.unwrap_or_default(),
            ..Decided::default()
        };
        let changes = had.is_some();
        for place in self.places {
            let Place {
                id, key, had, has, ..
            } = place;
            if let Some(had) = had.filter(|had| changes && had.live) {
                decided.digest = decided.digest.minus(had.digest(id));
            }
            if has.live {
                decided.digest = decided.digest.plus(has.digest(id));
            }
            match key {
                Some(key) => {
                    decided.more.all += 1;
                    decided.more.emulated += i64::from(key.mode == Mode::Emulated);
                    decided.more.failed += i64::from(key.mode == Mode::Failed);
                    decided.new.push((id, key, has));
                }
                None if had != Some(has) => decided.changed.push(has),
                None => {}
            }
        }
        // What was taken up again is not aside any more.
        let epoch = self.epoch;
        let taken = decided.changed.iter().filter(|has| has.epoch == epoch);
        let taken = taken
            .map(|has| has.row)
            .filter(|row| self.earlier.contains_key(row));
        decided.taken = taken.collect();
        decided.aside = self.aside;
        decided.burnt = self.burnt;
        decided
    }
}

fn retire(stored: &mut Stored) {
    if stored.live {
        stored.live = false;
        stored.processes = 0;
        stored.told = Told::default();
    }
}

impl Stored {
    /// What it adds to the digest of its node.
    fn digest(&self, id: FactId) -> Digest {
        let Told { count, cpu_ns } = self.told;
        Digest::of(id, count, to_count(self.processes), cpu_ns)
    }
}

/// How many rows are more, in all and of each mode.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct More {
    pub(super) all: i64,
    pub(super) emulated: i64,
    pub(super) failed: i64,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Decided {
    pub(super) digest: Digest,
    pub(super) more: More,
    pub(super) burnt: Vec<Burnt>,
    new: Vec<(FactId, FactKey, Stored)>,
    changed: Vec<Stored>,
    aside: Vec<(i64, i64, Told)>,
    taken: Vec<i64>,
}
