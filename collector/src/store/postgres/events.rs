//! Events, losses and changes of handlers: stored exactly once, with every gap between them counted.

mod row;

use std::collections::{BTreeMap, HashSet};
use std::time::SystemTime;

use archtrace_facts::fact::Stage;
use archtrace_facts::report::{EventBatch, Record, ReportedLoss, SequenceRange};

use super::pool::{Change, Outcome, Transaction};
use super::writes::{Writes, values};
use super::{nodes, owners};
use crate::store::NodeId;
use crate::store::sql::{Failure, count_within, from_count, from_random, from_time, to_count};

/// The stream of what the collector itself has to tell about a node.
pub(super) const OWN_STREAM: u64 = 0;

/// Where a stream is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) first: i64,
    pub(super) next: i64,
    /// How many sequences losses account for.
    explained: i64,
}

/// Makes sure that the stream is there. What came before `oldest` was never promised to this store: it is
/// no gap.
pub(super) async fn open(
    tx: &Transaction,
    node: NodeId,
    stream_id: u64,
    oldest: u64,
    now: SystemTime,
) -> Result<Stream, Failure> {
    let row = tx
        .row(
            "INSERT INTO stream (node_id, stream_id, first_sequence, next_sequence, events, missing,
               explained, last_used)
             VALUES ($1, $2, $3, $3, 0, 0, 0, $4)
             ON CONFLICT (node_id, stream_id) DO UPDATE SET
               last_used = GREATEST(stream.last_used, excluded.last_used)
             RETURNING first_sequence, next_sequence, explained",
            &[&node.0, &from_random(stream_id), &from_count(oldest), &from_time(now)],
        )
        .await?;
    Ok(Stream {
        first: row.try_get(0)?,
        next: row.try_get(1)?,
        explained: row.try_get(2)?,
    })
}

/// [`crate::store::Store::append_events`].
#[derive(Debug)]
pub(super) struct Append {
    pub(super) node: NodeId,
    pub(super) batch: EventBatch,
    pub(super) now: SystemTime,
}

impl Change for Append {
    type Answer = u64;

    async fn make(&self, tx: &Transaction) -> Result<Outcome<u64>, Failure> {
        let Self { node, batch, now } = self;
        let (node, now) = (*node, *now);
        let first = batch.first_sequence;
        let state = nodes::lock(tx, node).await?;
        let stream = open(tx, node, batch.stream_id, first, now).await?;
        let sequences = (0..batch.records.len() as u64).map(|at| first.saturating_add(at));
        let records: Vec<_> = sequences.zip(&batch.records).collect();
        let version = state.version + 1;
        let inserted = write(tx, node, version, batch.stream_id, &records, now).await?;
        let mut seen = Seen::default();
        let mut done = HashSet::new();
        for (sequence, record) in &records {
            // A sequence beyond 63 bits, which no honest agent reaches, is one row with the others.
            let sequence = from_count(*sequence);
            if inserted.contains(&sequence) && done.insert(sequence) {
                let is_late = (stream.first..stream.next).contains(&sequence);
                seen.late += i64::from(is_late);
                seen.add(record);
            }
        }
        for range in &seen.ranges {
            explain(tx, node, *range, now).await?;
        }
        let found = match stream.explained {
            0 => 0,
            _ => found(tx, node, batch.stream_id, version, done).await?,
        };
        let skipped = first.saturating_sub(to_count(stream.next));
        let next = to_count(stream.next).max(first.saturating_add(batch.records.len() as u64));
        let mut writes = Writes::default();
        count_losses(&mut writes, node, &seen.losses);
        writes.add(
            // Sums that do not fit stay at the highest number.
            "UPDATE stream SET next_sequence = $1, events = events + $2,
               missing = GREATEST(missing - $3, 0)
                 + LEAST($4, 9223372036854775807 - GREATEST(missing - $3, 0)),
               explained = GREATEST(explained - $5, 0)
                 + LEAST($6, 9223372036854775807 - GREATEST(explained - $5, 0))
             WHERE node_id = $7 AND stream_id = $8",
            values![
                from_count(next),
                seen.events,
                seen.late,
                from_count(skipped),
                found,
                // Agents from before ranges told in the batch behind a gap how many were in it.
                from_count(skipped.min(seen.without_range)),
                node.0,
                from_random(batch.stream_id),
            ],
        );
        writes.add(
            "UPDATE node_state SET version = version + $1, last_heard = GREATEST(last_heard, $2)
             WHERE node_id = $3",
            values![i64::from(!inserted.is_empty()), from_time(now), node.0],
        );
        writes.run(tx).await?;
        Ok(Outcome::Keep(next))
    }
}

/// What was new in a batch.
#[derive(Debug, Default)]
struct Seen {
    events: i64,
    /// Records that had been skipped before.
    late: i64,
    without_range: u64,
    ranges: Vec<SequenceRange>,
    losses: BTreeMap<String, (u64, u64)>,
}

impl Seen {
    fn add(&mut self, record: &Record) {
        let Record::Loss(loss) = record else {
            self.events += 1;
            return;
        };
        add_loss(&mut self.losses, loss);
        match loss.range {
            Some(range) => self.ranges.push(range),
            // Only events that had got as far as the agent's queue had a sequence.
            None if loss.stage == Stage::EventQueue.as_str() => {
                self.without_range = self.without_range.saturating_add(loss.count);
            }
            None => {}
        }
    }
}

fn add_loss(losses: &mut BTreeMap<String, (u64, u64)>, loss: &ReportedLoss) {
    let (count, records) = losses.entry(loss.stage.clone()).or_default();
    *count = count.saturating_add(loss.count);
    *records += 1;
}

/// Inserts records, and returns the sequences of those that were not there yet.
async fn write(
    tx: &Transaction,
    node: NodeId,
    version: i64,
    stream_id: u64,
    records: &[(u64, &Record)],
    now: SystemTime,
) -> Result<HashSet<i64>, Failure> {
    let cgroups = records.iter().filter_map(|(_, record)| match record {
        Record::Event(event) => Some(event.key.cgroup.as_str()),
        Record::Loss(_) | Record::Handler(_) => None,
    });
    let owners = owners::look(tx, node, &[], cgroups, from_time(now)).await?;
    let mut writes = Writes::default();
    owners.write(&mut writes, node, from_time(now));
    writes.run(tx).await?;
    row::insert(tx, node, version, stream_id, records).await
}

/// How many of the sequences, which came in with the change to `version`, a loss had named before: they are
/// not lost after all.
async fn found(
    tx: &Transaction,
    node: NodeId,
    stream_id: u64,
    version: i64,
    added: HashSet<i64>,
) -> Result<i64, Failure> {
    let rows = tx
        .rows(
            "SELECT range_first, range_last FROM event
             WHERE node_id = $1 AND kind = 'loss' AND range_stream = $2 AND version < $3",
            &[&node.0, &from_random(stream_id), &version],
        )
        .await?;
    let ranges = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    let ranges = ranges.collect::<Result<Vec<_>, Failure>>()?;
    Ok(count_within(added, &ranges))
}

/// Accounts for sequences that a loss names, as far as they were promised and are not stored.
async fn explain(
    tx: &Transaction,
    node: NodeId,
    range: SequenceRange,
    now: SystemTime,
) -> Result<(), Failure> {
    let SequenceRange {
        stream_id,
        first,
        last,
    } = range;
    // A stream that was never heard of begins with what was lost of it.
    let began = open(tx, node, stream_id, first, now).await?.first;
    let (stream, first, last) = (
        from_random(stream_id),
        from_count(first).max(began),
        from_count(last),
    );
    if last < first {
        return Ok(());
    }
    let row = tx
        .row(
            "SELECT COUNT(*) FROM event
             WHERE node_id = $1 AND stream_id = $2 AND sequence BETWEEN $3 AND $4",
            &[&node.0, &stream, &first, &last],
        )
        .await?;
    let stored: i64 = row.try_get(0)?;
    let lost = (last - first).saturating_add(1).saturating_sub(stored);
    tx.execute(
        "UPDATE stream SET explained = explained + LEAST($1, 9223372036854775807 - explained)
         WHERE node_id = $2 AND stream_id = $3",
        &[&lost, &node.0, &stream],
    )
    .await?;
    Ok(())
}

/// Appends to the node's own stream at the collector, as part of the node's change to `version`.
pub(super) async fn append_own(
    tx: &Transaction,
    node: NodeId,
    version: i64,
    record: Record,
    now: SystemTime,
) -> Result<(), Failure> {
    let sequence = to_count(open(tx, node, OWN_STREAM, 0, now).await?.next);
    write(tx, node, version, OWN_STREAM, &[(sequence, &record)], now).await?;
    let mut writes = Writes::default();
    if let Record::Loss(loss) = &record {
        let mut losses = BTreeMap::new();
        add_loss(&mut losses, loss);
        count_losses(&mut writes, node, &losses);
    }
    writes.add(
        "UPDATE stream SET next_sequence = next_sequence + 1 WHERE node_id = $1 AND stream_id = $2",
        values![node.0, from_random(OWN_STREAM)],
    );
    writes.run(tx).await
}

/// Adds to the sums over all time.
fn count_losses(writes: &mut Writes, node: NodeId, losses: &BTreeMap<String, (u64, u64)>) {
    if losses.is_empty() {
        return;
    }
    let counts = losses.values().map(|(count, _)| from_count(*count));
    let records = losses.values().map(|(_, records)| from_count(*records));
    writes.add(
        "INSERT INTO loss_total (node_id, stage, count, records)
         SELECT $1, u.stage, u.count, u.records
         FROM unnest($2::TEXT[], $3::BIGINT[], $4::BIGINT[]) AS u (stage, count, records)
         ON CONFLICT (node_id, stage) DO UPDATE SET
           count = loss_total.count + LEAST(excluded.count, 9223372036854775807 - loss_total.count),
           records = loss_total.records + excluded.records",
        values![
            node.0,
            losses.keys().cloned().collect::<Vec<_>>(),
            counts.collect::<Vec<_>>(),
            records.collect::<Vec<_>>(),
        ],
    );
}
