//! What changed, for whoever follows it.

use std::time::SystemTime;

use archtrace_facts::fleet::NodeEvent;
use archtrace_query::read::{EventPlace, FactChange, Head, NodeId, Version};
use rusqlite::Connection;

use super::values::{from_count, from_random, from_time, to_count, to_time};
use crate::store::sql::{self, Failure};

/// Every node, and how far its changes are.
pub(super) fn heads(db: &Connection) -> Result<Vec<Head>, Failure> {
    let mut statement = db.prepare_cached(
        "SELECT n.id, n.cluster, n.name, n.arch, s.version, s.began, s.last_heard
         FROM node n JOIN node_state s ON s.node_id = n.id
         WHERE s.session <> s.forgotten_session ORDER BY n.id",
    )?;
    let mut rows = statement.query([])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        heads.push(Head {
            node: NodeId(row.get(0)?),
            cluster: row.get(1)?,
            name: row.get(2)?,
            arch: row.get_ref(3)?.as_str()?.parse()?,
            version: Version(row.get(4)?),
            began: Version(row.get(5)?),
            last_heard: to_time(row.get(6)?),
        });
    }
    Ok(heads)
}

/// Facts that changed after a version of their node, in the order in which they did.
pub(super) fn facts(
    db: &Connection,
    nodes: &[(NodeId, Version)],
) -> Result<Vec<FactChange>, Failure> {
    let (columns, tables) = (sql::FACT_CHANGE_COLUMNS, sql::FACT_TABLES);
    let text = |condition| {
        format!(
            "SELECT {columns} FROM {tables}
             WHERE f.node_id = ? AND {condition} AND f.version > ? ORDER BY f.version, f.id"
        )
    };
    // Spelt so that both walk the same index.
    let mut live = db.prepare_cached(&text("f.live = TRUE"))?;
    let mut all = db.prepare_cached(&text("f.live IN (TRUE, FALSE)"))?;
    let mut changes = Vec::new();
    for (node, seen) in nodes {
        let statement = if *seen == Version::default() {
            &mut live
        } else {
            &mut all
        };
        let mut rows = statement.query([node.0, seen.0])?;
        while let Some(row) = rows.next()? {
            changes.push(sql::read_fact_change(row)?);
        }
    }
    Ok(changes)
}

/// Events that came after a version of their node, in the order in which they did.
pub(super) fn events(
    db: &Connection,
    nodes: &[(NodeId, Version)],
) -> Result<Vec<(NodeId, Version, NodeEvent)>, Failure> {
    let (columns, tables) = (sql::EVENT_CHANGE_COLUMNS, sql::EVENT_TABLES);
    let mut statement = db.prepare_cached(&format!(
        "SELECT {columns} FROM {tables} WHERE e.node_id = ? AND e.version > ?
         ORDER BY e.version, e.stream_id, e.sequence"
    ))?;
    let mut events = Vec::new();
    for (node, seen) in nodes {
        let mut rows = statement.query([node.0, seen.0])?;
        while let Some(row) = rows.next()? {
            events.push(sql::read_event_change(row)?);
        }
    }
    Ok(events)
}

/// Behind the place ?2 (a version), ?3 (a stream), ?4 (a sequence) of node ?1.
macro_rules! after {
    () => {
        "e.node_id = ?1 AND e.version >= ?2
           AND (e.version > ?2 OR e.stream_id > ?3 OR (e.stream_id = ?3 AND e.sequence > ?4))"
    };
}

fn values(node: NodeId, place: EventPlace) -> [i64; 4] {
    let EventPlace {
        version,
        stream_id,
        sequence,
    } = place;
    [
        node.0,
        version.0,
        from_random(stream_id),
        from_count(sequence),
    ]
}

/// The first events that come after places, in the order of nodes and places.
pub(super) fn events_after(
    db: &Connection,
    mut nodes: Vec<(NodeId, EventPlace)>,
    limit: u32,
) -> Result<Vec<(NodeId, EventPlace, NodeEvent)>, Failure> {
    nodes.sort_unstable();
    let (columns, tables) = (sql::EVENT_CHANGE_COLUMNS, sql::EVENT_TABLES);
    let condition = after!();
    let mut statement = db.prepare_cached(&format!(
        "SELECT {columns} FROM {tables} WHERE {condition}
         ORDER BY e.version, e.stream_id, e.sequence LIMIT ?5"
    ))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut events = Vec::new();
    for (node, place) in nodes {
        let left = limit.saturating_sub(events.len());
        if left == 0 {
            break;
        }
        let [node, version, stream, sequence] = values(node, place);
        let left = from_count(u64::try_from(left).unwrap_or(u64::MAX));
        let mut rows = statement.query([node, version, stream, sequence, left])?;
        while let Some(row) = rows.next()? {
            let (node, version, event) = sql::read_event_change(row)?;
            let place = EventPlace::of(version, &event);
            events.push((node, place, event));
        }
    }
    Ok(events)
}

/// How many of them are older than `before`.
pub(super) fn count_events_after(
    db: &Connection,
    nodes: &[(NodeId, EventPlace)],
    before: SystemTime,
) -> rusqlite::Result<u64> {
    let mut statement = db.prepare_cached(concat!(
        "SELECT COUNT(*) FROM event e WHERE ",
        after!(),
        " AND e.time < ?5"
    ))?;
    let before = from_time(before);
    let mut sum = 0;
    for (node, place) in nodes {
        let [node, version, stream, sequence] = values(*node, *place);
        let values = [node, version, stream, sequence, before];
        let count = statement.query_row(values, |row| row.get(0))?;
        sum += to_count(count);
    }
    Ok(sum)
}
