//! What one agent produced: what a collector has to have in the end.

use std::collections::HashMap;

use archtrace_facts::digest::Digest;
use archtrace_facts::fact::FactId;

/// What counts up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sums {
    /// Execs.
    pub count: u64,
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
}

/// What the collector may say of one fact.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// Sums over earlier epochs: what was acknowledged of them, at least.
    earlier_least: Sums,
    /// What was counted in them, which is the most that can be stored.
    earlier_most: Sums,
    /// This epoch's.
    now: Sums,
    /// Of these, what is acknowledged.
    stored: Sums,
    /// Processes alive.
    processes: u64,
    /// The agent does not keep it any more.
    gone: bool,
}

/// All that one agent produced. A fact costs some 100 bytes, those that ended too.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Events, each of which has its number as [`archtrace_facts::fact::Event::count`], from 1.
    pub events: u64,
    /// What was told as lost in the kernel's buffer.
    pub lost: u64,
    /// Runs that ended like kill -9.
    pub restarts: u64,
    /// Streams of events of earlier runs, and the sequence behind the last of each.
    pub streams: Vec<(u64, u64)>,
    facts: HashMap<FactId, Account>,
}

/// What a collector has to say of a fact once all is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At least.
    pub least: Sums,
    /// At most.
    pub most: Sums,
    /// Processes alive.
    pub processes: u64,
    /// It is history.
    pub ended: bool,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            cpu_ns: self.cpu_ns + other.cpu_ns,
        }
    }
}

impl Ledger {
    /// A fact has these numbers in this epoch.
    pub fn set(&mut self, fact: FactId, now: Sums, processes: u64) {
        let account = self.facts.entry(fact).or_default();
        account.now = now;
        account.processes = processes;
        account.gone = false;
    }

    /// A fact is not kept any more; its numbers stay.
    pub fn retire(&mut self, fact: FactId) {
        if let Some(account) = self.facts.get_mut(&fact) {
            account.processes = 0;
            account.gone = true;
        }
    }

    /// Everything that was counted so far is acknowledged.
    pub fn settle(&mut self) {
        for account in self.facts.values_mut() {
            account.stored = account.now;
        }
    }

    /// The run ended like kill -9: what was not acknowledged may or may not be stored.
    pub fn restart(&mut self, stream: u64, next_sequence: u64) {
        self.restarts += 1;
        self.streams.push((stream, next_sequence));
        for account in self.facts.values_mut() {
            account.earlier_least = account.earlier_least.plus(account.stored);
            account.earlier_most = account.earlier_most.plus(account.now);
            account.now = Sums::default();
            account.stored = Sums::default();
        }
    }

    /// Each fact, once all of the last epoch is told.
    pub fn facts(&self) -> impl Iterator<Item = (FactId, Bounds)> {
        self.facts.iter().map(|(id, account)| {
            let bounds = Bounds {
                least: account.earlier_least.plus(account.now),
                most: account.earlier_most.plus(account.now),
                processes: account.processes,
                ended: account.gone,
            };
            (*id, bounds)
        })
    }

    /// The digest of what the agent keeps in its last epoch.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let kept = self.facts.iter().filter(|(_, account)| !account.gone);
        kept.map(|(id, account)| {
            let Sums { count, cpu_ns } = account.now;
            Digest::of(*id, count, account.processes, cpu_ns)
        })
        .sum()
    }

    /// What earlier epochs have added to a fact, if that is certain.
    #[must_use]
    pub fn earlier(&self, fact: FactId) -> Option<Sums> {
        let account = self.facts.get(&fact)?;
        (account.earlier_least == account.earlier_most).then_some(account.earlier_most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_leaves_open_what_was_not_acknowledged() {
        let mut ledger = Ledger::default();
        let fact = FactId([1; 16]);
        let sums = |count| Sums { count, cpu_ns: 0 };
        ledger.set(fact, sums(5), 1);
        ledger.settle();
        ledger.set(fact, sums(7), 1);
        ledger.restart(1, 1);
        assert_eq!(ledger.earlier(fact), None);
        ledger.set(fact, sums(3), 1);
        let bounds: Vec<_> = ledger.facts().collect();
        assert_eq!((bounds[0].1.least, bounds[0].1.most), (sums(8), sums(10)));
        assert_eq!(ledger.digest(), Digest::of(fact, 3, 1, 0));
        ledger.retire(fact);
        assert_eq!(ledger.digest(), Digest::default());
    }
}
