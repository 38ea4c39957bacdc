//! What is told of a table: what changed, or all of it.

use std::hash::Hash;

use super::{Changes, GivenUp, Table};
use crate::digest::Digest;
use crate::fact::Fact;
use crate::report::how_many_fit;

impl<C: Copy + Eq + Hash> Table<C> {
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
        for (id, last) in self.unconfirmed.drain() {
            // One that came back since then goes on where it was.
            let again = self.facts.get_mut(&id).map(|entry| &mut entry.fact);
            let again = again.or_else(|| self.removed.get_mut(&id).map(|given| &mut given.fact));
            if let Some(fact) = again {
                go_on(fact, &last);
                continue;
            }
            let told = Digest::default();
            self.removed.insert(id, GivenUp { fact: last, told });
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
}

/// Adds up what a fact had before it was given up and what it has since it came back.
fn go_on(fact: &mut Fact, last: &Fact) {
    fact.count = fact.count.saturating_add(last.count);
    fact.cpu_ns = fact.cpu_ns.saturating_add(last.cpu_ns);
    fact.first_seen = fact.first_seen.min(last.first_seen);
    fact.last_seen = fact.last_seen.max(last.last_seen);
}
