//! Losses on their way into the queue.

use std::collections::BTreeMap;

use archtrace_facts::report::{ReportedLoss, SequenceRange};

/// Ranges that are remembered to be named, so that none is twice: as many as there are pieces of a
/// stream that could be delivered between pieces that could not; contiguous ones are one.
const MAX_NAMED: usize = 1024;

/// Losses that have no sequence yet. One of a stage waits for the last one to arrive, so that a flood of
/// losses does not push out everything else.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// One for each stage, and one for each range: as many as there are stages, and gaps in what can be
    /// delivered.
    pending: Vec<ReportedLoss>,
    /// Sequence of the last loss of each stage.
    waiting: BTreeMap<String, u64>,
    /// What losses name, here or on their way.
    named: Vec<SequenceRange>,
    /// How many were lost in this run, by stage.
    totals: BTreeMap<String, u64>,
}

impl Losses {
    /// Those without a sequence.
    pub(super) fn pending(&self) -> &[ReportedLoss] {
        &self.pending
    }

    /// How many were lost in this run, by stage.
    pub(super) fn totals(&self) -> &BTreeMap<String, u64> {
        &self.totals
    }

    /// Adds one.
    pub(super) fn add(&mut self, loss: ReportedLoss) {
        let total = self.totals.entry(loss.stage.clone()).or_default();
        *total = total.saturating_add(loss.count);
        if let Some(range) = loss.range {
            self.name(range);
        }
        self.insert(loss);
    }

    /// Those that an earlier run left, and what they and others name.
    pub(super) fn restore(&mut self, pending: Vec<ReportedLoss>, named: Vec<SequenceRange>) {
        named.into_iter().for_each(|range| self.name(range));
        pending.into_iter().for_each(|loss| self.insert(loss));
    }

    /// The next one to get the sequence `next`, if it is its turn; what is below `oldest` has arrived.
    pub(super) fn take_due(&mut self, oldest: u64, next: u64) -> Option<ReportedLoss> {
        self.waiting.retain(|_, sequence| *sequence >= oldest);
        let is_due = |loss: &ReportedLoss| !self.waiting.contains_key(&loss.stage);
        let index = self.pending.iter().position(is_due)?;
        let loss = self.pending.remove(index);
        self.waiting.insert(loss.stage.clone(), next);
        Some(loss)
    }

    /// The parts of a range that no loss names.
    pub(super) fn unnamed(&self, range: SequenceRange) -> Vec<SequenceRange> {
        let mut rest = vec![range];
        for named in &self.named {
            let parts = rest.into_iter();
            rest = parts.flat_map(|part| without(part, *named)).collect();
        }
        rest
    }

    /// Adds one whose range is named already.
    pub(super) fn insert(&mut self, loss: ReportedLoss) {
        let same = |known: &&mut ReportedLoss| known.stage == loss.stage && joins(known, &loss);
        let Some(known) = self.pending.iter_mut().find(same) else {
            self.pending.push(loss);
            return;
        };
        known.count = match (known.range, loss.range) {
            // Not known is not known.
            (None, None) if known.count == 0 || loss.count == 0 => 0,
            _ => known.count.saturating_add(loss.count),
        };
        known.since = known.since.min(loss.since);
        known.until = known.until.max(loss.until);
        if let (Some(one), Some(other)) = (&mut known.range, loss.range) {
            one.first = one.first.min(other.first);
            one.last = one.last.max(other.last);
        }
    }

    fn name(&mut self, mut range: SequenceRange) {
        self.named.retain(|other| {
            let joins = touch(*other, range);
            if joins {
                range.first = range.first.min(other.first);
                range.last = range.last.max(other.last);
            }
            !joins
        });
        if self.named.len() >= MAX_NAMED {
            self.named.remove(0);
        }
        self.named.push(range);
    }
}

fn joins(one: &ReportedLoss, other: &ReportedLoss) -> bool {
    match (one.range, other.range) {
        (None, None) => true,
        (Some(one), Some(other)) => touch(one, other),
        _ => false,
    }
}

/// Whether they overlap or follow each other.
fn touch(one: SequenceRange, other: SequenceRange) -> bool {
    one.stream_id == other.stream_id
        && one.first <= other.last.saturating_add(1)
        && other.first <= one.last.saturating_add(1)
}

fn without(range: SequenceRange, named: SequenceRange) -> Vec<SequenceRange> {
    if range.stream_id != named.stream_id || named.last < range.first || range.last < named.first {
        return vec![range];
    }
    let before = (named.first > range.first).then(|| SequenceRange {
        last: named.first - 1,
        ..range
    });
    let after = (named.last < range.last).then(|| SequenceRange {
        first: named.last + 1,
        ..range
    });
    before.into_iter().chain(after).collect()
}
