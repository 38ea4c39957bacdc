//! Events and losses: stored exactly once, with every gap between them counted.

use std::time::SystemTime;

use archtrace_facts::fact::{Cause, Event, Stage};
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::{EventBatch, NamedEvent, Record, ReportedLoss};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::nodes;
use super::select::Conditions;
use super::values::{
    from_count, from_random, from_time, key, names, to_count, to_random, to_time, word,
};
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
        let inserted = insert(db, node, batch.stream_id, sequence, record)?;
        events += u64::from(inserted && matches!(record, Record::Event(_)));
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
    insert(db, node, OWN_STREAM, sequence, record)?;
    db.prepare_cached(
        "UPDATE stream SET next_sequence = next_sequence + 1 WHERE node_id = ? AND stream_id = ?",
    )?
    .execute([node.0, from_random(OWN_STREAM)])?;
    Ok(())
}

/// Whether it was not there yet.
fn insert(
    db: &Connection,
    node: NodeId,
    stream_id: u64,
    sequence: u64,
    record: &Record,
) -> rusqlite::Result<bool> {
    let (stream, sequence) = (from_random(stream_id), from_count(sequence));
    let (time, kind) = (from_time(record.time()), record.kind());
    let inserted = match record {
        Record::Event(NamedEvent { event, names }) => db
            .prepare_cached(
                "INSERT OR IGNORE INTO event (node_id, stream_id, sequence, time, kind, pid, comm,
                   errno, cgroup, binary, path_resolved, arch, mode, emulator, cause, namespace,
                   pod, container)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                node.0,
                stream,
                sequence,
                time,
                kind,
                event.pid,
                event.comm,
                event.errno,
                event.key.cgroup,
                event.key.binary,
                event.key.path_resolved,
                event.key.arch.to_string(),
                event.key.mode.as_str(),
                event.key.emulator,
                event.key.cause.map(Cause::as_str),
                names.namespace,
                names.pod,
                names.container,
            ])?,
        Record::Loss(loss) => db
            .prepare_cached(
                "INSERT OR IGNORE INTO event (node_id, stream_id, sequence, time, kind, stage,
                   count, since)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                node.0,
                stream,
                sequence,
                time,
                kind,
                loss.stage,
                from_count(loss.count),
                from_time(loss.since),
            ])?,
    };
    Ok(inserted > 0)
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
    conditions.any_of("e.namespace", filter.namespaces.iter().cloned());
    conditions.any_of("e.pod", filter.pods.iter().cloned());
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
        "SELECT e.*, n.cluster, n.name AS node, n.arch AS node_arch
         FROM event e JOIN node n ON n.id = e.node_id{}
         ORDER BY e.time DESC, e.node_id DESC, e.stream_id DESC, e.sequence DESC LIMIT ?",
        conditions.clause()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = conditions.values([Value::Integer((*limit).into())]);
    let mut rows = statement.query(params_from_iter(values))?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(read(row)?);
    }
    Ok(events)
}

fn read(row: &Row<'_>) -> Result<(EventCursor, NodeEvent), Failure> {
    let time: i64 = row.get("time")?;
    let stream_id = to_random(row.get("stream_id")?);
    let sequence = to_count(row.get("sequence")?);
    let kind: String = row.get("kind")?;
    let record = if kind == "loss" {
        Record::Loss(ReportedLoss {
            stage: row.get("stage")?,
            count: to_count(row.get("count")?),
            since: to_time(row.get("since")?),
            until: to_time(time),
        })
    } else {
        let event = Event {
            time: to_time(time),
            kind: kind.parse()?,
            pid: row.get("pid")?,
            comm: row.get("comm")?,
            key: key(row)?,
            errno: row.get("errno")?,
        };
        Record::Event(NamedEvent {
            event,
            names: names(row)?,
        })
    };
    let cursor = EventCursor {
        time,
        node: NodeId(row.get("node_id")?),
        stream_id,
        sequence,
    };
    let event = NodeEvent {
        cluster: row.get("cluster")?,
        node: row.get("node")?,
        node_arch: word(row, "node_arch")?,
        stream_id,
        sequence,
        record,
    };
    Ok((cursor, event))
}
