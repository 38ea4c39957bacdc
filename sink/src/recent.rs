//! What happened lately, for whoever asks this node: kept although the collector has it.

use std::collections::{BTreeMap, VecDeque};

use archtrace_facts::fact::Loss;
use archtrace_facts::fleet::LossTotal;
use archtrace_facts::report::{Record, ReportedLoss};

/// Events and changes of handlers: an hour of a node on which something happens every few seconds. A
/// record is some 500 bytes.
const EVENTS: usize = 1024;

/// Losses, apart from the others: a lasting one is told every few seconds, and must not push out the
/// events that tell why.
const LOSSES: usize = 128;

/// Bytes of each of the two, for names are as long as containers like.
const BYTES: usize = 1 << 20;

/// The last records, each with its number. Nothing is kept until somebody wants it
/// ([`Recent::keep`]).
#[derive(Debug, Default)]
pub struct Recent {
    is_kept: bool,
    events: Ring,
    losses: Ring,
    /// Number of the next one.
    next: u64,
    /// Events and changes of handlers so far, those that are not kept any more included.
    count: u64,
    totals: BTreeMap<&'static str, (u64, u64)>,
}

#[derive(Debug, Default)]
struct Ring {
    records: VecDeque<(u64, Record)>,
    bytes: usize,
}

impl Recent {
    /// Keeps what happens from now on.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Notes an event or a change of a handler.
    pub(crate) fn note(&mut self, record: impl FnOnce() -> Record) {
        self.count += 1;
        if self.is_kept {
            self.events.push(self.next, record(), EVENTS);
            self.next += 1;
        }
    }

    /// Notes a loss.
    pub(crate) fn note_loss(&mut self, loss: &Loss) {
        let (count, records) = self.totals.entry(loss.stage.as_str()).or_default();
        *count = count.saturating_add(loss.count);
        *records += 1;
        if self.is_kept {
            let record = Record::Loss(ReportedLoss::from(loss.clone()));
            self.losses.push(self.next, record, LOSSES);
            self.next += 1;
        }
    }

    /// Number of the next record; those before it are kept or were.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Up to `most` records that are kept, from this number on, in the order of their numbers.
    #[must_use]
    pub fn since(&self, number: u64, most: usize) -> Vec<(u64, Record)> {
        let mut found: Vec<_> = [&self.events, &self.losses]
            .into_iter()
            .flat_map(|ring| ring.since(number).take(most))
            .collect();
        found.sort_unstable_by_key(|(number, _)| *number);
        found.truncate(most);
        found.into_iter().cloned().collect()
    }

    /// Whether the record of this number is kept.
    #[must_use]
    pub fn keeps(&self, number: u64) -> bool {
        let is_first = |(first, _): &(u64, Record)| *first == number;
        [&self.events, &self.losses]
            .into_iter()
            .any(|ring| ring.since(number).next().is_some_and(is_first))
    }

    /// Events and changes of handlers since the agent started.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Losses since the agent started, by stage.
    #[must_use]
    pub fn losses(&self) -> Vec<LossTotal> {
        let total = |(stage, (count, records)): (&&str, &(u64, u64))| LossTotal {
            stage: (*stage).to_owned(),
            count: *count,
            records: *records,
        };
        self.totals.iter().map(total).collect()
    }
}

impl Ring {
    fn push(&mut self, number: u64, record: Record, most: usize) {
        self.bytes += record.weight();
        self.records.push_back((number, record));
        while self.records.len() > most || (self.bytes > BYTES && self.records.len() > 1) {
            if let Some((_, gone)) = self.records.pop_front() {
                self.bytes -= gone.weight();
            }
        }
    }

    fn since(&self, number: u64) -> impl Iterator<Item = &(u64, Record)> {
        let begin = self.records.partition_point(|(known, _)| *known < number);
        self.records.range(begin..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_facts::fact::{HandlerChangeKind, Stage};
    use archtrace_facts::node::Handler;
    use archtrace_facts::report::HandlerChange;
    use std::time::SystemTime;

    fn record(name: &str) -> Record {
        Record::Handler(HandlerChange {
            time: SystemTime::UNIX_EPOCH,
            kind: HandlerChangeKind::Added,
            handler: Handler {
                name: name.to_owned(),
                enabled: true,
                interpreter: String::new(),
                flags: String::new(),
                arch: None,
                since: None,
            },
        })
    }

    fn loss(count: u64) -> Loss {
        Loss {
            stage: Stage::RingBuffer,
            count,
            since: SystemTime::UNIX_EPOCH,
            until: SystemTime::UNIX_EPOCH,
        }
    }

    fn numbers(recent: &Recent, since: u64, most: usize) -> Vec<u64> {
        let found = recent.since(since, most);
        found.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn nothing_is_kept_unless_it_is_wanted_and_all_is_counted() {
        let mut recent = Recent::default();
        recent.note(|| unreachable!("it is not kept"));
        recent.note_loss(&loss(2));
        recent.keep();
        recent.note(|| record("a"));
        recent.note_loss(&loss(3));
        recent.note(|| record("b"));
        assert_eq!(numbers(&recent, 0, 10), [0, 1, 2]);
        assert_eq!(numbers(&recent, 1, 10), [1, 2]);
        assert_eq!(numbers(&recent, 0, 2), [0, 1]);
        assert_eq!(numbers(&recent, 3, 10), []);
        let losses = recent.losses();
        assert_eq!((recent.next(), recent.count()), (3, 3));
        assert_eq!((losses[0].count, losses[0].records), (5, 2));
    }

    #[test]
    fn a_flood_pushes_out_only_what_is_like_it_and_names_may_be_long() {
        let mut recent = Recent::default();
        recent.keep();
        recent.note(|| record("first"));
        for _ in 0..10 * LOSSES {
            recent.note_loss(&loss(1));
        }
        assert_eq!(recent.since(0, 1)[0].1, record("first"));
        assert_eq!(recent.since(0, usize::MAX).len(), 1 + LOSSES);
        for _ in 0..2 * EVENTS {
            recent.note(|| record("more"));
        }
        assert_eq!(recent.since(0, usize::MAX).len(), EVENTS + LOSSES);
        assert!(!recent.keeps(0) && recent.keeps(recent.next() - 1));
        recent.note(|| record(&"x".repeat(BYTES)));
        assert_eq!(recent.since(0, usize::MAX).len(), 1 + LOSSES);
    }
}
