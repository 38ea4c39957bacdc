//! Nodes that are gone for good: first from what is asked, and with the last that is known of them altogether.

use std::time::SystemTime;

use archtrace_facts::digest::Digest;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::values::from_time;
use crate::store::NodeId;

/// Tables with rows that nothing needs once there are no facts, events and owners of a node.
const TABLES: [&str; 8] = [
    "DELETE FROM epoch WHERE node_id = ?",
    "DELETE FROM stream WHERE node_id = ?",
    "DELETE FROM loss_total WHERE node_id = ?",
    "DELETE FROM emulated_cpu_day WHERE node_id = ?",
    "DELETE FROM node_machine WHERE node_id = ?",
    "DELETE FROM node_info WHERE node_id = ?",
    "DELETE FROM node_state WHERE node_id = ?",
    "DELETE FROM node WHERE id = ?",
];

/// [`crate::store::Store::forget`].
pub(super) fn forget(
    db: &Connection,
    nodes: &[NodeId],
    silent_since: SystemTime,
) -> rusqlite::Result<u64> {
    let mut forgotten = 0;
    for node in nodes {
        // Whoever still has a lease has none any more: an agent that is there after all comes again.
        let version: Option<i64> = db
            .prepare_cached(
                "UPDATE node_state SET session = session + 1, forgotten_session = session + 1,
                   version = version + 1, began = version + 1, revision = NULL, digest = ?, health = NULL
                 WHERE node_id = ? AND last_heard < ? AND session <> forgotten_session
                 RETURNING version",
            )?
            .query_row(
                params![Digest::default().to_bytes(), node.0, from_time(silent_since)],
                |row| row.get(0),
            )
            .optional()?;
        let Some(version) = version else { continue };
        db.prepare_cached(
            "UPDATE fact SET processes = 0, live = FALSE, version = ?
             WHERE node_id = ? AND live = TRUE",
        )?
        .execute([version, node.0])?;
        db.prepare_cached("UPDATE node_info SET info = x'', preflight = x'' WHERE node_id = ?")?
            .execute([node.0])?;
        forget_images(db, *node)?;
        forgotten += 1;
    }
    Ok(forgotten)
}

fn forget_images(db: &Connection, node: NodeId) -> rusqlite::Result<()> {
    let images = db
        .prepare_cached("DELETE FROM node_image WHERE node_id = ? RETURNING image_id")?
        .query_map([node.0], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    for image in images {
        db.prepare_cached(
            "DELETE FROM image WHERE id = ?1
               AND NOT EXISTS (SELECT 1 FROM node_image WHERE image_id = ?1)",
        )?
        .execute([image])?;
    }
    Ok(())
}

/// Removes forgotten nodes that were heard last before this and of which no facts, events and owners are left, at
/// most so many, and returns how many these were. What else they have is older. Sums over all time stay.
pub(super) fn remove(db: &Connection, before: i64, nodes: i64) -> rusqlite::Result<usize> {
    let nodes = db
        .prepare_cached(
            "SELECT node_id FROM node_state s WHERE session = forgotten_session AND last_heard < ?
               AND NOT EXISTS (SELECT 1 FROM fact f WHERE f.node_id = s.node_id)
               AND NOT EXISTS (SELECT 1 FROM event e WHERE e.node_id = s.node_id)
               AND NOT EXISTS (SELECT 1 FROM owner o WHERE o.node_id = s.node_id)
             LIMIT ?",
        )?
        .query_map([before, nodes], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    for node in &nodes {
        // `WHERE TRUE`: <https://sqlite.org/lang_upsert.html#parsing_ambiguity>.
        db.prepare_cached(
            "INSERT INTO forgotten (kind, stage, count, records)
             SELECT kind, stage, count, records FROM
               (SELECT 'loss' AS kind, stage, count, records FROM loss_total WHERE node_id = ?1
                UNION ALL SELECT 'gap', '', missing - explained, 1 FROM stream
                WHERE node_id = ?1 AND missing > explained)
             WHERE TRUE
             ON CONFLICT (kind, stage) DO UPDATE SET
               count = MIN(count + excluded.count, 9223372036854775807),
               records = MIN(records + excluded.records, 9223372036854775807)",
        )?
        .execute([node])?;
        for table in TABLES {
            db.prepare_cached(table)?.execute([node])?;
        }
    }
    Ok(nodes.len())
}
