//! What changed, for whoever follows it.

use archtrace_facts::fleet::NodeEvent;
use archtrace_query::read::{FactChange, Head, NodeId, Version};
use rusqlite::Connection;

use super::values::to_time;
use crate::store::sql::{self, Failure};

/// Every node, and how far its changes are.
pub(super) fn heads(db: &Connection) -> Result<Vec<Head>, Failure> {
    let mut statement = db.prepare_cached(
        "SELECT n.id, n.cluster, n.name, n.arch, s.version, s.last_heard
         FROM node n JOIN node_state s ON s.node_id = n.id ORDER BY n.id",
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
            last_heard: to_time(row.get(5)?),
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
