//! Events on their way to the collector.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use archtrace_facts::fact::{Event, Loss, Stage};
use archtrace_facts::report::{HandlerChange, Record, how_many_fit};

/// Records that wait for their acknowledgement. At most one event per second and binary is made,
/// so that this holds minutes of a busy node; a record is some 500 bytes.
const CAPACITY: usize = 4096;

/// Kept free for losses: whatever is dropped must be told.
const RESERVE: usize = 64;

/// A numbered queue: sequences have no gaps, because what does not fit is never numbered but
/// counted, and told as a loss.
pub(crate) struct Queue {
    records: VecDeque<Record>,
    /// Sequence of `records[0]`.
    first: u64,
    /// Losses that are not in `records` yet. One record of a stage waits for the last one to
    /// arrive, so that a flood of losses does not push out everything else.
    losses: BTreeMap<Stage, Loss>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            records: VecDeque::new(),
            first: 1,
            losses: BTreeMap::new(),
        }
    }

    /// Takes an event, or counts it as lost.
    pub(crate) fn push_event(&mut self, event: Event) {
        self.push(Record::Event(event));
    }

    /// Takes a change of a handler, or counts it as lost.
    pub(crate) fn push_handler(&mut self, change: HandlerChange) {
        self.push(Record::Handler(change));
    }

    fn push(&mut self, record: Record) {
        if self.records.len() < CAPACITY - RESERVE {
            self.records.push_back(record);
            return;
        }
        let time = record.time();
        self.push_loss(Loss {
            stage: Stage::EventQueue,
            count: 1,
            since: time,
            until: time,
        });
    }

    /// Takes a loss.
    pub(crate) fn push_loss(&mut self, loss: Loss) {
        match self.losses.entry(loss.stage) {
            Entry::Vacant(entry) => {
                entry.insert(loss);
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.count += loss.count;
                known.since = known.since.min(loss.since);
                known.until = known.until.max(loss.until);
            }
        }
        self.settle();
    }

    /// About `budget` bytes of records from the front, and the sequence of the first.
    pub(crate) fn front(&self, budget: usize) -> (u64, Vec<Record>) {
        let fit = how_many_fit(budget, self.records.iter().map(Record::weight));
        (self.first, self.records.iter().take(fit).cloned().collect())
    }

    /// Everything before `next` is stored.
    pub(crate) fn acknowledge(&mut self, next: u64) {
        let stored = next.saturating_sub(self.first);
        let stored = usize::try_from(stored)
            .unwrap_or(usize::MAX)
            .min(self.records.len());
        self.records.drain(..stored);
        self.first += stored as u64;
        self.settle();
    }

    /// Sequence of the oldest record.
    pub(crate) fn oldest(&self) -> u64 {
        self.first
    }

    /// Sequence that the next record will have.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Numbers the losses whose turn it is.
    fn settle(&mut self) {
        if self.losses.is_empty() {
            return;
        }
        let waiting: BTreeSet<&str> = self
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Loss(loss) => Some(loss.stage.as_str()),
                Record::Event(_) | Record::Handler(_) => None,
            })
            .collect();
        let due: Vec<_> = self
            .losses
            .keys()
            .copied()
            .filter(|stage| !waiting.contains(stage.as_str()))
            .collect();
        for stage in due {
            // There is room: each stage takes one place of the reserve at most.
            if let Some(loss) = self.losses.remove(&stage) {
                self.records.push_back(Record::Loss(loss.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_facts::arch::Arch;
    use archtrace_facts::fact::{EventKind, FactKey, Mode, Via};
    use std::time::SystemTime;

    fn event() -> Event {
        Event {
            time: SystemTime::UNIX_EPOCH,
            kind: EventKind::EmulatedExec,
            pid: 1,
            comm: String::new(),
            key: FactKey {
                cgroup: String::new(),
                binary: String::new(),
                path_resolved: true,
                arch: Arch::Arm64,
                mode: Mode::Emulated,
                emulator: Some(String::new()),
                via: Some(Via::BinfmtMisc),
                cause: None,
            },
            errno: 0,
            count: 1,
            instruction: None,
        }
    }

    fn loss(stage: Stage) -> Loss {
        let time = SystemTime::UNIX_EPOCH;
        Loss {
            stage,
            count: 1,
            since: time,
            until: time,
        }
    }

    fn losses(queue: &Queue) -> u64 {
        let lost = |record: &Record| match record {
            Record::Loss(loss) => loss.count,
            Record::Event(_) | Record::Handler(_) => 0,
        };
        let waiting: u64 = queue.losses.values().map(|loss| loss.count).sum();
        queue.records.iter().map(lost).sum::<u64>() + waiting
    }

    #[test]
    fn sequences_follow_without_a_gap() {
        let mut queue = Queue::new();
        for _ in 0..5 {
            queue.push_event(event());
        }
        assert_eq!(
            (queue.oldest(), queue.next(), queue.front(1).1.len()),
            (1, 6, 1)
        );
        queue.acknowledge(3);
        assert_eq!(
            (
                queue.front(10_000).0,
                queue.front(10_000).1.len(),
                queue.next()
            ),
            (3, 3, 6)
        );
        queue.acknowledge(1);
        queue.acknowledge(100);
        assert_eq!(
            (queue.oldest(), queue.next(), queue.is_empty()),
            (6, 6, true)
        );
    }

    #[test]
    fn what_does_not_fit_is_told_as_lost() {
        let mut queue = Queue::new();
        let sent = CAPACITY + 100;
        for _ in 0..sent {
            queue.push_event(event());
        }
        let held = (CAPACITY - RESERVE) as u64;
        assert_eq!(losses(&queue), sent as u64 - held);
        // One of them is told at once, the rest when that has arrived.
        assert_eq!(queue.next(), 1 + held + 1);
        queue.acknowledge(queue.next());
        assert_eq!((queue.oldest(), queue.next()), (held + 2, held + 3));
        queue.acknowledge(queue.next());
        assert!(queue.is_empty() && queue.losses.is_empty());
    }

    #[test]
    fn a_flood_of_losses_takes_one_place_a_stage() {
        let mut queue = Queue::new();
        for _ in 0..2 * CAPACITY {
            queue.push_loss(loss(Stage::RingBuffer));
            queue.push_loss(loss(Stage::TaskMap));
        }
        assert_eq!(queue.records.len(), 2);
        assert_eq!(losses(&queue), 4 * CAPACITY as u64);
    }
}
