//! Events, losses and changes of handlers: stored exactly once, with every gap between them counted.

mod row;

use std::time::SystemTime;

use archtrace_facts::fact::Stage;
use archtrace_facts::report::{EventBatch, Record, ReportedLoss, SequenceRange};
use rusqlite::{Connection, params};

use super::values::{from_count, from_random, from_time, to_count};
use super::writer::Failure;
use crate::store::NodeId;
use crate::store::sql::count_within;

/// The stream of what the collector itself has to tell about a node.
pub(super) const OWN_STREAM: u64 = 0;

/// Makes sure that the stream is there, and returns the first sequence that is not stored. What
/// came before `oldest` was never promised to this store: it is no gap.
pub(super) fn open_stream(
    db: &Connection,
    node: NodeId,
    stream_id: u64,
    oldest: u64,
    now: SystemTime,
) -> rusqlite::Result<u64> {
    stream(db, node, stream_id, oldest, now).map(|stream| to_count(stream.next))
}

/// Where a stream is.
#[derive(Clone, Copy, Debug)]
struct Stream {
    first: i64,
    next: i64,
    /// How many sequences losses account for.
    explained: i64,
}

fn stream(
    db: &Connection,
    node: NodeId,
    stream_id: u64,
    oldest: u64,
    now: SystemTime,
) -> rusqlite::Result<Stream> {
    db.prepare_cached(
        "INSERT INTO stream (node_id, stream_id, first_sequence, next_sequence, events, missing,
           explained, last_used)
         VALUES (?1, ?2, ?3, ?3, 0, 0, 0, ?4)
         ON CONFLICT (node_id, stream_id) DO UPDATE SET
           last_used = MAX(last_used, excluded.last_used)
         RETURNING first_sequence, next_sequence, explained",
    )?
    .query_row(
        params![
            node.0,
            from_random(stream_id),
            from_count(oldest),
            from_time(now)
        ],
        |row| {
            Ok(Stream {
                first: row.get(0)?,
                next: row.get(1)?,
                explained: row.get(2)?,
            })
        },
    )
}

pub(super) fn append(
    db: &Connection,
    node: NodeId,
    batch: &EventBatch,
    now: SystemTime,
) -> Result<u64, Failure> {
    let first = batch.first_sequence;
    let Stream {
        first: began,
        next,
        explained,
    } = stream(db, node, batch.stream_id, first, now)?;
    let version: i64 = db
        .prepare_cached("SELECT version + 1 FROM node_state WHERE node_id = ?")?
        .query_row([node.0], |row| row.get(0))?;
    let (mut inserted, mut events, mut without_range) = (false, 0, 0_u64);
    let (mut added, mut ranges) = (Vec::new(), Vec::new());
    let mut sequence = first;
    for record in &batch.records {
        let new = row::insert(db, node, version, batch.stream_id, sequence, record, now)?;
        inserted |= new;
        if new {
            added.push(from_count(sequence));
            match record {
                Record::Loss(loss) => {
                    count_loss(db, node, loss)?;
                    match loss.range {
                        Some(range) => ranges.push(range),
                        // Only events that had got as far as the agent's queue had a sequence.
                        None if loss.stage == Stage::EventQueue.as_str() => {
                            without_range = without_range.saturating_add(loss.count);
                        }
                        None => {}
                    }
                }
                Record::Event(_) | Record::Handler(_) => events += 1,
            }
        }
        sequence = sequence.saturating_add(1);
    }
    for range in ranges {
        explain(db, node, range, now)?;
    }
    let late = added.iter().filter(|at| (began..next).contains(at)).count();
    let found = match explained {
        0 => 0,
        _ => found(db, node, batch.stream_id, version, &added)?,
    };
    let skipped = first.saturating_sub(to_count(next));
    let next = to_count(next).max(sequence);
    db.prepare_cached(
        "UPDATE stream SET next_sequence = ?, events = events + ?,
           missing = MIN(MAX(missing - ?, 0) + ?, 9223372036854775807),
           explained = MIN(MAX(explained - ?, 0) + ?, 9223372036854775807)
         WHERE node_id = ? AND stream_id = ?",
    )?
    .execute(params![
        from_count(next),
        events,
        i64::try_from(late).unwrap_or(i64::MAX),
        from_count(skipped),
        found,
        // Agents from before ranges told in the batch behind a gap how many were in it.
        from_count(skipped.min(without_range)),
        node.0,
        from_random(batch.stream_id),
    ])?;
    db.prepare_cached(
        "UPDATE node_state SET version = version + ?, last_heard = MAX(last_heard, ?)
         WHERE node_id = ?",
    )?
    .execute(params![inserted, from_time(now), node.0])?;
    Ok(next)
}

/// How many of the sequences, which came in with the change to `version`, a loss had named before: they are
/// not lost after all.
fn found(
    db: &Connection,
    node: NodeId,
    stream_id: u64,
    version: i64,
    added: &[i64],
) -> rusqlite::Result<i64> {
    let mut named = db.prepare_cached(
        "SELECT range_first, range_last FROM event
         WHERE node_id = ? AND kind = 'loss' AND range_stream = ? AND version < ?",
    )?;
    let ranges = named.query_map(params![node.0, from_random(stream_id), version], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(count_within(
        added.iter().copied(),
        &ranges.collect::<Result<Vec<_>, _>>()?,
    ))
}

/// Accounts for sequences that a loss names, as far as they were promised and are not stored.
fn explain(
    db: &Connection,
    node: NodeId,
    range: SequenceRange,
    now: SystemTime,
) -> rusqlite::Result<()> {
    let SequenceRange {
        stream_id,
        first,
        last,
    } = range;
    // A stream that was never heard of begins with what was lost of it.
    let began = stream(db, node, stream_id, first, now)?.first;
    let (first, last) = (from_count(first).max(began), from_count(last));
    if last < first {
        return Ok(());
    }
    let stored: i64 = db
        .prepare_cached(
            "SELECT COUNT(*) FROM event
             WHERE node_id = ? AND stream_id = ? AND sequence BETWEEN ? AND ?",
        )?
        .query_row([node.0, from_random(stream_id), first, last], |row| {
            row.get(0)
        })?;
    db.prepare_cached(
        "UPDATE stream SET explained = MIN(explained + ?, 9223372036854775807)
         WHERE node_id = ? AND stream_id = ?",
    )?
    .execute([
        (last - first).saturating_add(1).saturating_sub(stored),
        node.0,
        from_random(stream_id),
    ])?;
    Ok(())
}

/// Appends to the node's own stream at the collector, as part of the node's change to `version`.
pub(super) fn append_own(
    db: &Connection,
    node: NodeId,
    version: i64,
    record: &Record,
    now: SystemTime,
) -> Result<(), Failure> {
    let sequence = open_stream(db, node, OWN_STREAM, 0, now)?;
    row::insert(db, node, version, OWN_STREAM, sequence, record, now)?;
    if let Record::Loss(loss) = record {
        count_loss(db, node, loss)?;
    }
    db.prepare_cached(
        "UPDATE stream SET next_sequence = next_sequence + 1 WHERE node_id = ? AND stream_id = ?",
    )?
    .execute([node.0, from_random(OWN_STREAM)])?;
    Ok(())
}

/// Adds to the sums over all time.
fn count_loss(db: &Connection, node: NodeId, loss: &ReportedLoss) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO loss_total (node_id, stage, count, records) VALUES (?, ?, ?, 1)
         ON CONFLICT (node_id, stage) DO UPDATE SET
           count = MIN(count + excluded.count, 9223372036854775807), records = records + 1",
    )?
    .execute(params![node.0, loss.stage, from_count(loss.count)])?;
    Ok(())
}
