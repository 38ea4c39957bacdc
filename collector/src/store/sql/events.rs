//! Events, losses and changes of handlers.

use archtrace_facts::fact::{Event, HandlerChangeKind};
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::identity::Identity;
use archtrace_facts::report::{HandlerChange, Record, ReportedLoss, SequenceRange};
use archtrace_proto::convert::{decode_handler, decode_instruction};
use archtrace_query::read::{EventCursor, EventQuery, NodeId, Version};

use super::row::{Cells, identity};
use super::selection::{self, Subject};
use super::values::{from_count, from_random, to_count, to_random, to_time};
use super::{Conditions, Dialect, Failure, Row, Statement};

/// What [`columns`](COLUMNS) are of.
pub(in crate::store) const TABLES: &str = "event e JOIN node n ON n.id = e.node_id \
     LEFT JOIN owner o ON o.id = e.owner_id";

/// What [`node_event`] reads: of all; of losses and handlers; of events.
macro_rules! columns {
    () => {
        "e.node_id, e.stream_id, e.sequence, e.version, e.time, n.cluster, n.name, n.arch, o.identity, e.kind, \
         e.stage, e.since, e.range_stream, e.range_first, e.range_last, e.handler, \
         e.count, e.pid, e.comm, e.errno, e.instruction, \
         o.cgroup, e.binary, CAST(CASE WHEN e.path_resolved = TRUE THEN 1 ELSE 0 END AS BIGINT), e.arch, e.mode, e.emulator, e.via, e.cause"
    };
}

const COLUMNS: &str = columns!();

/// What [`read_change`] reads.
pub(in crate::store) const CHANGE_COLUMNS: &str = columns!();

/// Events in the order of their times.
pub(in crate::store) fn list(dialect: Dialect, query: &EventQuery) -> Statement {
    let EventQuery {
        selection,
        kinds,
        ascending,
        after,
        limit,
    } = query;
    let mut conditions = Conditions::new(dialect);
    selection::add(&mut conditions, selection, Subject::Event);
    if !kinds.is_empty() {
        let kinds = conditions.one_of("e.kind", kinds.iter().map(String::as_str));
        conditions.add(kinds);
    }
    if let Some(EventCursor {
        time,
        node,
        stream_id,
        sequence,
        version: _,
    }) = after
    {
        let place = [
            *time,
            node.0,
            from_random(*stream_id),
            from_count(*sequence),
        ];
        let place = place.map(|value| conditions.integer(value)).join(", ");
        let sign = if *ascending { '>' } else { '<' };
        conditions.add(format!(
            "(e.time, e.node_id, e.stream_id, e.sequence) {sign} ({place})"
        ));
    }
    let head = format!("SELECT {COLUMNS} FROM {TABLES}");
    let order = if *ascending {
        "ORDER BY e.time, e.node_id, e.stream_id, e.sequence"
    } else {
        "ORDER BY e.time DESC, e.node_id DESC, e.stream_id DESC, e.sequence DESC"
    };
    conditions.statement(&head, order, *limit)
}

/// Reads a row of [`list`].
pub(in crate::store) fn read(row: &impl Row) -> Result<(EventCursor, NodeEvent), Failure> {
    node_event(&mut Cells::of(row))
}

/// Reads a row of [`CHANGE_COLUMNS`].
pub(in crate::store) fn read_change(
    row: &impl Row,
) -> Result<(NodeId, Version, NodeEvent), Failure> {
    let (cursor, event) = node_event(&mut Cells::of(row))?;
    Ok((cursor.node, cursor.version, event))
}

fn node_event(cells: &mut Cells<'_, impl Row>) -> Result<(EventCursor, NodeEvent), Failure> {
    let node = NodeId(cells.integer()?);
    let stream_id = to_random(cells.integer()?);
    let sequence = to_count(cells.integer()?);
    let version = Version(cells.integer()?);
    let time = cells.integer()?;
    let cluster = cells.text()?.to_owned();
    let name = cells.text()?.to_owned();
    let node_arch = cells.word()?;
    let told = cells.some_blob()?;
    let record = record(cells, time)?;
    let identity = match &record {
        Record::Event(event) => identity(told, &event.key.cgroup)?,
        Record::Loss(_) | Record::Handler(_) => Identity::default(),
    };
    let cursor = EventCursor {
        time,
        node,
        stream_id,
        sequence,
        version,
    };
    let event = NodeEvent {
        cluster,
        node: name,
        node_arch,
        stream_id,
        sequence,
        record,
        identity,
    };
    Ok((cursor, event))
}

fn record(cells: &mut Cells<'_, impl Row>, time: i64) -> Result<Record, Failure> {
    let kind = cells.text()?;
    let stage = cells.some_text()?;
    let since = cells.some_integer()?;
    let range = [(); 3].map(|()| cells.some_integer());
    let [stream, first, last] = range;
    let handler = cells.some_blob()?;
    let count = cells.some_integer()?.map_or(0, to_count);
    if kind == "loss" {
        let range = match (stream?, first?, last?) {
            (Some(stream), Some(first), Some(last)) => Some(SequenceRange {
                stream_id: to_random(stream),
                first: to_count(first),
                last: to_count(last),
            }),
            _ => None,
        };
        return Ok(Record::Loss(ReportedLoss {
            stage: stage.ok_or("a loss has no stage")?.to_owned(),
            count,
            since: to_time(since.ok_or("a loss has no beginning")?),
            until: to_time(time),
            range,
        }));
    }
    if let Ok(kind) = kind.parse::<HandlerChangeKind>() {
        return Ok(Record::Handler(HandlerChange {
            time: to_time(time),
            kind,
            handler: decode_handler(handler.ok_or("a change of a handler has no handler")?)?,
        }));
    }
    let pid = cells.integer()?.try_into()?;
    let comm = cells.text()?.to_owned();
    let errno = cells.integer()?.try_into()?;
    let instruction = cells.some_blob()?.map(decode_instruction).transpose()?;
    Ok(Record::Event(Event {
        time: to_time(time),
        kind: kind.parse()?,
        pid,
        comm,
        key: cells.key()?,
        errno,
        count,
        instruction,
    }))
}

/// How many of the sequences are in one of the ranges, whose ends are in them.
pub(in crate::store) fn count_within(
    sequences: impl IntoIterator<Item = i64>,
    ranges: &[(i64, i64)],
) -> i64 {
    let is_within = |sequence: &i64| {
        let mut ranges = ranges.iter();
        ranges.any(|(first, last)| (first..=last).contains(&sequence))
    };
    let count = sequences.into_iter().filter(is_within).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}
