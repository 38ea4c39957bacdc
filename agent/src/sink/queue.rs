//! Events on their way to the collector.

use std::collections::VecDeque;
use std::time::SystemTime;

use archtrace_facts::fact::{Event, Loss, Stage};
use archtrace_facts::report::{NamedEvent, Names, Record};

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
    dropped: Option<Dropped>,
}

struct Dropped {
    count: u64,
    since: SystemTime,
    until: SystemTime,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            records: VecDeque::new(),
            first: 1,
            dropped: None,
        }
    }

    /// Takes an event, or counts it as lost.
    pub(crate) fn push_event(&mut self, event: Event) {
        if self.records.len() >= CAPACITY - RESERVE {
            let time = event.time;
            let dropped = self.dropped.get_or_insert(Dropped {
                count: 0,
                since: time,
                until: time,
            });
            dropped.count += 1;
            dropped.until = dropped.until.max(time);
            return;
        }
        self.tell_dropped();
        self.records.push_back(Record::Event(NamedEvent {
            event,
            names: Names::default(),
        }));
    }

    /// Takes a loss. If even these do not fit, it is added to the last of its stage.
    pub(crate) fn push_loss(&mut self, loss: Loss) {
        let loss = loss.into();
        if self.records.len() < CAPACITY {
            self.records.push_back(Record::Loss(loss));
            return;
        }
        for record in self.records.iter_mut().rev() {
            if let Record::Loss(known) = record
                && known.stage == loss.stage
            {
                known.count += loss.count;
                known.until = known.until.max(loss.until);
                return;
            }
        }
    }

    /// Up to `limit` records from the front, and the sequence of the first.
    pub(crate) fn front(&self, limit: usize) -> (u64, Vec<Record>) {
        (
            self.first,
            self.records.iter().take(limit).cloned().collect(),
        )
    }

    /// Everything before `next` is stored.
    pub(crate) fn acknowledge(&mut self, next: u64) {
        let stored = next.saturating_sub(self.first);
        let stored = usize::try_from(stored)
            .unwrap_or(usize::MAX)
            .min(self.records.len());
        self.records.drain(..stored);
        self.first += stored as u64;
        if self.records.len() < CAPACITY - RESERVE {
            self.tell_dropped();
        }
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

    fn tell_dropped(&mut self) {
        if let Some(Dropped {
            count,
            since,
            until,
        }) = self.dropped.take()
        {
            self.push_loss(Loss {
                stage: Stage::EventQueue,
                count,
                since,
                until,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_facts::arch::Arch;
    use archtrace_facts::fact::{EventKind, FactKey, Mode};

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
                cause: None,
            },
            errno: 0,
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
            Record::Event(_) => 0,
        };
        queue.records.iter().map(lost).sum()
    }

    #[test]
    fn sequences_follow_without_a_gap() {
        let mut queue = Queue::new();
        for _ in 0..5 {
            queue.push_event(event());
        }
        assert_eq!(
            (queue.oldest(), queue.next(), queue.front(2).1.len()),
            (1, 6, 2)
        );
        queue.acknowledge(3);
        assert_eq!(
            (queue.front(9).0, queue.front(9).1.len(), queue.next()),
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
        assert_eq!(queue.records.len(), CAPACITY - RESERVE);
        queue.acknowledge(2);
        let told = queue.records.len() as u64 + 1 - 1 + losses(&queue);
        assert_eq!(told, sent as u64);
        for _ in 0..2 * CAPACITY {
            queue.push_loss(loss(Stage::RingBuffer));
        }
        assert_eq!(queue.records.len(), CAPACITY);
        assert!(losses(&queue) >= 2 * CAPACITY as u64);
    }
}
