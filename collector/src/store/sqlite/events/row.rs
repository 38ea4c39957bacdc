//! One record as a row, and back.

use archtrace_facts::fact::{Cause, Event, HandlerChangeKind, Via};
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::identity::Identity;
use archtrace_facts::report::{HandlerChange, Record, ReportedLoss};
use archtrace_proto::convert::{
    decode_handler, decode_instruction, encode_handler, encode_instruction,
};
use rusqlite::{Connection, Row, params};

use super::super::values::{
    from_count, from_random, from_time, identity, key, to_count, to_random, to_time, word,
};
use super::super::writer::Failure;
use crate::store::{EventCursor, NodeId};

/// Whether it was not there yet.
pub(super) fn insert(
    db: &Connection,
    node: NodeId,
    stream_id: u64,
    sequence: u64,
    record: &Record,
) -> rusqlite::Result<bool> {
    let (stream, sequence) = (from_random(stream_id), from_count(sequence));
    let (time, kind) = (from_time(record.time()), record.kind());
    let inserted = match record {
        Record::Event(event) => db
            .prepare_cached(
                "INSERT OR IGNORE INTO event (node_id, stream_id, sequence, time, kind, pid, comm,
                   errno, count, instruction, cgroup, binary, path_resolved, arch, mode, emulator,
                   via, cause)
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
                from_count(event.count),
                event.instruction.as_ref().map(encode_instruction),
                event.key.cgroup,
                event.key.binary,
                event.key.path_resolved,
                event.key.arch.to_string(),
                event.key.mode.as_str(),
                event.key.emulator,
                event.key.via.map(Via::as_str),
                event.key.cause.map(Cause::as_str),
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
        Record::Handler(HandlerChange { handler, .. }) => db
            .prepare_cached(
                "INSERT OR IGNORE INTO event (node_id, stream_id, sequence, time, kind, arch,
                   handler)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                node.0,
                stream,
                sequence,
                time,
                kind,
                handler.arch.map(|arch| arch.to_string()),
                encode_handler(handler),
            ])?,
    };
    Ok(inserted > 0)
}

pub(super) fn read(row: &Row<'_>) -> Result<(EventCursor, NodeEvent), Failure> {
    let time: i64 = row.get("time")?;
    let stream_id = to_random(row.get("stream_id")?);
    let sequence = to_count(row.get("sequence")?);
    let cursor = EventCursor {
        time,
        node: NodeId(row.get("node_id")?),
        stream_id,
        sequence,
    };
    let record = record(row, time)?;
    let identity = match &record {
        Record::Event(event) => identity(row, &event.key.cgroup)?,
        Record::Loss(_) | Record::Handler(_) => Identity::default(),
    };
    let event = NodeEvent {
        cluster: row.get("cluster")?,
        node: row.get("node")?,
        node_arch: word(row, "node_arch")?,
        stream_id,
        sequence,
        record,
        identity,
    };
    Ok((cursor, event))
}

fn record(row: &Row<'_>, time: i64) -> Result<Record, Failure> {
    let kind: String = row.get("kind")?;
    if kind == "loss" {
        return Ok(Record::Loss(ReportedLoss {
            stage: row.get("stage")?,
            count: to_count(row.get("count")?),
            since: to_time(row.get("since")?),
            until: to_time(time),
        }));
    }
    if let Ok(kind) = kind.parse::<HandlerChangeKind>() {
        return Ok(Record::Handler(HandlerChange {
            time: to_time(time),
            kind,
            handler: decode_handler(row.get_ref("handler")?.as_blob()?)?,
        }));
    }
    let instruction = row.get_ref("instruction")?.as_blob_or_null()?;
    Ok(Record::Event(Event {
        time: to_time(time),
        kind: kind.parse()?,
        pid: row.get("pid")?,
        comm: row.get("comm")?,
        key: key(row)?,
        errno: row.get("errno")?,
        count: row.get::<_, Option<i64>>("count")?.map_or(0, to_count),
        instruction: instruction.map(decode_instruction).transpose()?,
    }))
}
