//! One record as a row.

use std::time::SystemTime;

use archtrace_facts::fact::{Cause, Via};
use archtrace_facts::report::{HandlerChange, Record};
use archtrace_proto::convert::{encode_handler, encode_instruction};
use rusqlite::{Connection, params};

use super::super::owners;
use super::super::values::{from_count, from_random, from_time};
use crate::store::NodeId;

/// Whether it was not there yet.
pub(super) fn insert(
    db: &Connection,
    node: NodeId,
    version: i64,
    stream_id: u64,
    sequence: u64,
    record: &Record,
    now: SystemTime,
) -> rusqlite::Result<bool> {
    let (stream, sequence) = (from_random(stream_id), from_count(sequence));
    let (time, kind) = (from_time(record.time()), record.kind());
    let inserted = match record {
        Record::Event(event) => db
            .prepare_cached(
                "INSERT OR IGNORE INTO event (node_id, stream_id, sequence, version, time, kind, pid,
                   comm, errno, count, instruction, owner_id, binary, path_resolved, arch, mode,
                   emulator, via, cause)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                node.0,
                stream,
                sequence,
                version,
                time,
                kind,
                event.pid,
                event.comm,
                event.errno,
                from_count(event.count),
                event.instruction.as_ref().map(encode_instruction),
                owners::of_cgroup(db, node, &event.key.cgroup, now)?,
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
                "INSERT OR IGNORE INTO event (node_id, stream_id, sequence, version, time, kind, stage,
                   count, since, range_stream, range_first, range_last)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                node.0,
                stream,
                sequence,
                version,
                time,
                kind,
                loss.stage,
                from_count(loss.count),
                from_time(loss.since),
                loss.range.map(|range| from_random(range.stream_id)),
                loss.range.map(|range| from_count(range.first)),
                loss.range.map(|range| from_count(range.last)),
            ])?,
        Record::Handler(HandlerChange { handler, .. }) => db
            .prepare_cached(
                "INSERT OR IGNORE INTO event (node_id, stream_id, sequence, version, time, kind, arch,
                   handler)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                node.0,
                stream,
                sequence,
                version,
                time,
                kind,
                handler.arch.map(|arch| arch.to_string()),
                encode_handler(handler),
            ])?,
    };
    Ok(inserted > 0)
}
