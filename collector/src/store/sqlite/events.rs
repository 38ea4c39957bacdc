//! Events, losses and changes of handlers: stored exactly once, with every gap between them counted.

mod row;

use std::time::SystemTime;

use archtrace_facts::fact::Stage;
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::{EventBatch, Record};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::nodes;
use super::select::Conditions;
use super::values::{from_count, from_random, from_time, to_count};
use super::writer::Failure;
use crate::store::{EventCursor, EventQuery, NodeId};

/// The stream of what the collector itself has to tell about a node.
const OWN_STREAM: u64 = 0;

/// Makes sure that the stream is there, and returns the first sequence that is not stored. What
/// came before `oldest` was never promised to this store: it is no gap.
pub(super) fn open_stream(
    db: &Connection,
    node: NodeId,
    stream_id: u64,
    oldest: u64,
) -> rusqlite::Result<u64> {
    let stream = from_random(stream_id);
    db.prepare_cached(
        "INSERT OR IGNORE INTO stream (node_id, stream_id, next_sequence) VALUES (?, ?, ?)",
    )?
    .execute(params![node.0, stream, from_count(oldest)])?;
    db.prepare_cached("SELECT next_sequence FROM stream WHERE node_id = ? AND stream_id = ?")?
        .query_row([node.0, stream], |row| row.get(0).map(to_count))
}

pub(super) fn append(
    db: &Connection,
    node: NodeId,
    batch: &EventBatch,
    now: SystemTime,
) -> Result<u64, Failure> {
    let first = batch.first_sequence;
    let stored = open_stream(db, node, batch.stream_id, first)?;
    let missing = first.saturating_sub(stored);
    let unexplained = missing.saturating_sub(explained(&batch.records));
    let (mut sequence, mut events) = (first, 0);
    for record in &batch.records {
        let inserted = row::insert(db, node, batch.stream_id, sequence, record)?;
        events += u64::from(inserted && !matches!(record, Record::Loss(_)));
        sequence = sequence.saturating_add(1);
    }
    let next = stored.max(sequence);
    db.prepare_cached(
        "UPDATE stream SET next_sequence = ?, events = events + ?,
           unexplained_gap = MIN(unexplained_gap + ?, 9223372036854775807)
         WHERE node_id = ? AND stream_id = ?",
    )?
    .execute(params![
        from_count(next),
        from_count(events),
        from_count(unexplained),
        node.0,
        from_random(batch.stream_id),
    ])?;
    nodes::heard(db, node, now)?;
    Ok(next)
}

/// Sequences before the batch that its losses account for. Only events that had got as far as the
/// agent's queue had a sequence.
fn explained(records: &[Record]) -> u64 {
    let counts = records.iter().map(|record| match record {
        Record::Loss(loss) if loss.stage == Stage::EventQueue.as_str() => loss.count,
        _ => 0,
    });
    counts.fold(0, u64::saturating_add)
}

/// Appends to the node's own stream at the collector.
pub(super) fn append_own(db: &Connection, node: NodeId, record: &Record) -> Result<(), Failure> {
    let sequence = open_stream(db, node, OWN_STREAM, 0)?;
    row::insert(db, node, OWN_STREAM, sequence, record)?;
    db.prepare_cached(
        "UPDATE stream SET next_sequence = next_sequence + 1 WHERE node_id = ? AND stream_id = ?",
    )?
    .execute([node.0, from_random(OWN_STREAM)])?;
    Ok(())
}

pub(super) fn list(
    db: &Connection,
    query: &EventQuery,
) -> Result<Vec<(EventCursor, NodeEvent)>, Failure> {
    let EventQuery {
        filter,
        kinds,
        after,
        limit,
    } = query;
    let mut conditions = Conditions::default();
    conditions.any_of("n.name", filter.nodes.iter().cloned());
    conditions.any_of("o.namespace", filter.namespaces.iter().cloned());
    conditions.any_of("o.pod", filter.pods.iter().cloned());
    conditions.any_of("e.arch", filter.archs.iter().map(ToString::to_string));
    conditions.any_of("e.mode", filter.modes.iter().map(ToString::to_string));
    conditions.any_of("e.kind", kinds.iter().cloned());
    if let Some(since) = filter.since {
        conditions.add("e.time >= ?", [Value::Integer(from_time(since))]);
    }
    if let Some(EventCursor {
        time,
        node,
        stream_id,
        sequence,
    }) = after
    {
        conditions.add(
            "(e.time, e.node_id, e.stream_id, e.sequence) < (?, ?, ?, ?)",
            [
                *time,
                node.0,
                from_random(*stream_id),
                from_count(*sequence),
            ]
            .map(Value::Integer),
        );
    }
    let sql = format!(
        "SELECT e.*, n.cluster, n.name AS node, n.arch AS node_arch, o.identity
         FROM event e JOIN node n ON n.id = e.node_id
           LEFT JOIN owner o ON o.node_id = e.node_id AND o.cgroup = e.cgroup{}
         ORDER BY e.time DESC, e.node_id DESC, e.stream_id DESC, e.sequence DESC LIMIT ?",
        conditions.clause()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = conditions.values([Value::Integer((*limit).into())]);
    let mut rows = statement.query(params_from_iter(values))?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(row::read(row)?);
    }
    Ok(events)
}
