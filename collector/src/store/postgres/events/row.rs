//! Records as rows.

use std::collections::HashSet;

use archtrace_facts::fact::{Cause, Event, Via};
use archtrace_facts::node::Handler;
use archtrace_facts::report::{Record, ReportedLoss};
use archtrace_proto::convert::{encode_handler, encode_instruction};

use super::super::owners::cgroup_id;
use super::super::pool::Transaction;
use crate::store::NodeId;
use crate::store::sql::{Failure, from_count, from_random, from_time};

/// Inserts records, whose owners are there, and returns the sequences of those that were not there yet.
pub(super) async fn insert(
    tx: &Transaction,
    node: NodeId,
    version: i64,
    stream_id: u64,
    records: &[(u64, &Record)],
) -> Result<HashSet<i64>, Failure> {
    let all = || records.iter().map(|(_, record)| *record);
    let events = |of: fn(&Event) -> Option<i64>| column(all(), |record| of(event(record)?));
    let words = |of: fn(&Event) -> Option<String>| column(all(), |record| of(event(record)?));
    let losses = |of: fn(&ReportedLoss) -> Option<i64>| column(all(), |record| of(loss(record)?));
    let sequences: Vec<_> = records
        .iter()
        .map(|(sequence, _)| from_count(*sequence))
        .collect();
    let times = column(all(), |record| Some(from_time(record.time())));
    let kinds = column(all(), |record| Some(record.kind()));
    let counts = column(all(), |record| match record {
        Record::Event(event) => Some(from_count(event.count)),
        Record::Loss(loss) => Some(from_count(loss.count)),
        Record::Handler(_) => None,
    });
    let archs = column(all(), |record| match record {
        Record::Event(event) => Some(event.key.arch.to_string()),
        Record::Loss(_) => None,
        Record::Handler(change) => change.handler.arch.map(|arch| arch.to_string()),
    });
    let rows = tx
        .rows(
            "INSERT INTO event (node_id, stream_id, version, sequence, \"time\", kind, count, arch, pid, comm,
               errno, instruction, owner_id, \"binary\", path_resolved, mode, emulator, via, cause, handler,
               stage, since, range_stream, range_first, range_last)
             SELECT $1, $2, $3, u.sequence, u.at, u.kind, u.count, u.arch, u.pid, u.comm, u.errno,
               u.instruction, o.id, u.path, u.path_resolved, u.mode, u.emulator, u.via, u.cause, u.handler,
               u.stage, u.since, u.range_stream, u.range_first, u.range_last
             FROM unnest($4::BIGINT[], $5::BIGINT[], $6::TEXT[], $7::BIGINT[], $8::TEXT[], $9::BIGINT[],
                 $10::TEXT[], $11::BIGINT[], $12::BYTEA[], $13::BYTEA[], $14::TEXT[], $15::BOOLEAN[],
                 $16::TEXT[], $17::TEXT[], $18::TEXT[], $19::TEXT[], $20::BYTEA[], $21::TEXT[],
                 $22::BIGINT[], $23::BIGINT[], $24::BIGINT[], $25::BIGINT[])
               AS u (sequence, at, kind, count, arch, pid, comm, errno, instruction, cgroup_id, path,
                 path_resolved, mode, emulator, via, cause, handler, stage, since, range_stream, range_first,
                 range_last)
               LEFT JOIN owner o ON o.node_id = $1 AND o.cgroup_id = u.cgroup_id
             ON CONFLICT (node_id, stream_id, sequence) DO NOTHING
             RETURNING sequence",
            &[
                &node.0,
                &from_random(stream_id),
                &version,
                &sequences,
                &times,
                &kinds,
                &counts,
                &archs,
                &events(|event| Some(event.pid.into())),
                &words(|event| Some(event.comm.clone())),
                &events(|event| Some(event.errno.into())),
                &column(all(), |record| event(record)?.instruction.as_ref().map(encode_instruction)),
                &column(all(), |record| Some(cgroup_id(&event(record)?.key.cgroup))),
                &words(|event| Some(event.key.binary.clone())),
                &column(all(), |record| Some(event(record)?.key.path_resolved)),
                &words(|event| Some(event.key.mode.as_str().to_owned())),
                &words(|event| event.key.emulator.clone()),
                &words(|event| event.key.via.map(|via| Via::as_str(via).to_owned())),
                &words(|event| event.key.cause.map(|cause| Cause::as_str(cause).to_owned())),
                &column(all(), |record| handler(record).map(encode_handler)),
                &column(all(), |record| Some(loss(record)?.stage.as_str())),
                &losses(|loss| Some(from_time(loss.since))),
                &losses(|loss| loss.range.map(|range| from_random(range.stream_id))),
                &losses(|loss| loss.range.map(|range| from_count(range.first))),
                &losses(|loss| loss.range.map(|range| from_count(range.last))),
            ],
        )
        .await?;
    let sequences = rows.iter().map(|row| row.try_get(0));
    Ok(sequences.collect::<Result<_, _>>()?)
}

/// One column of all records.
fn column<'a, T>(
    records: impl Iterator<Item = &'a Record>,
    of: impl Fn(&'a Record) -> Option<T>,
) -> Vec<Option<T>> {
    records.map(of).collect()
}

fn event(record: &Record) -> Option<&Event> {
    match record {
        Record::Event(event) => Some(event),
        Record::Loss(_) | Record::Handler(_) => None,
    }
}

fn loss(record: &Record) -> Option<&ReportedLoss> {
    match record {
        Record::Loss(loss) => Some(loss),
        Record::Event(_) | Record::Handler(_) => None,
    }
}

fn handler(record: &Record) -> Option<&Handler> {
    match record {
        Record::Handler(change) => Some(&change.handler),
        Record::Event(_) | Record::Loss(_) => None,
    }
}
