//! Deletes what was kept long enough, a chunk at a time.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use archtrace_facts::cost::Hour;
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::Mode;
use rusqlite::{Connection, params};

use super::events::OWN_STREAM;
use super::values::{from_random, from_time, to_time};
use super::writer::Failure;
use super::{cost, forget};
use crate::store::Keep;
use crate::store::sql::DAY;

/// Rows per chunk: some 50 ms, for which those who write wait.
const CHUNK: i64 = 5000;

/// Nodes per chunk, each with all of its facts.
const NODES: i64 = 100;

/// What takes one look into other tables for each row.
const LOOKS: i64 = 1000;

/// Does one chunk of the first thing there is to do, and returns how many rows that were.
pub(super) fn expire(db: &Connection, keep: Keep, now: SystemTime) -> Result<u64, Failure> {
    let before =
        |kept: Duration| from_time(now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH));
    let (events, history) = (before(keep.events), before(keep.history));
    let both = events.min(history);
    let (old, folded) = (Hour::of(to_time(history)), Hour::folded_before(now));
    let now = from_time(now);
    let steps: [&dyn Fn() -> rusqlite::Result<usize>; 11] = [
        &|| expire_events(db, events),
        &|| end_facts(db, history),
        &|| expire_facts(db, history),
        &|| expire_streams(db, events),
        &|| expire_epochs(db, both),
        &|| cost::expire(db, old, CHUNK),
        &|| cost::fold(db, folded, CHUNK),
        &|| expire_owners(db, both, now),
        &|| expire_images(db, both, now),
        &|| expire_standings(db, history),
        // CPU time of emulation goes a whole day at a time.
        &|| forget::remove(db, both.saturating_sub(DAY), NODES),
    ];
    for step in steps {
        let rows = step()?;
        if rows > 0 {
            return Ok(rows as u64);
        }
    }
    Ok(0)
}

fn expire_events(db: &Connection, before: i64) -> rusqlite::Result<usize> {
    let mut statement = db.prepare_cached(
        "DELETE FROM event WHERE (node_id, stream_id, sequence) IN
           (SELECT node_id, stream_id, sequence FROM event WHERE time < ? ORDER BY time LIMIT ?)
         RETURNING node_id, stream_id, kind <> 'loss'",
    )?;
    let mut rows = statement.query([before, CHUNK])?;
    let mut events: HashMap<(i64, i64), i64> = HashMap::new();
    let mut deleted = 0;
    while let Some(row) = rows.next()? {
        *events.entry((row.get(0)?, row.get(1)?)).or_default() += row.get::<_, i64>(2)?;
        deleted += 1;
    }
    for ((node, stream), events) in events {
        db.prepare_cached(
            "UPDATE stream SET events = MAX(events - ?, 0) WHERE node_id = ? AND stream_id = ?",
        )?
        .execute([events, node, stream])?;
    }
    Ok(deleted)
}

/// A node that is silent for so long is taken to be gone, and its facts with it. Should its agent be
/// there after all, it tells them again.
fn end_facts(db: &Connection, before: i64) -> rusqlite::Result<usize> {
    let nodes: Vec<i64> = db
        .prepare_cached(
            "SELECT node_id FROM node_state s WHERE last_heard < ?
               AND EXISTS (SELECT 1 FROM fact f WHERE f.node_id = s.node_id AND f.live = TRUE)
             LIMIT ?",
        )?
        .query_map([before, NODES], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for node in &nodes {
        let version: i64 = db
            .prepare_cached(
                "UPDATE node_state SET revision = NULL, digest = ?, version = version + 1
                 WHERE node_id = ? RETURNING version",
            )?
            .query_row(params![Digest::default().to_bytes(), node], |row| {
                row.get(0)
            })?;
        db.prepare_cached(
            "UPDATE fact SET processes = 0, live = FALSE, version = ?
             WHERE node_id = ? AND live = TRUE",
        )?
        .execute([version, *node])?;
    }
    Ok(nodes.len())
}

fn expire_facts(db: &Connection, before: i64) -> rusqlite::Result<usize> {
    let facts = db
        .prepare_cached(
            "SELECT id, node_id, mode FROM fact WHERE live = FALSE AND last_seen < ?
             ORDER BY last_seen LIMIT ?",
        )?
        .query_map([before, CHUNK], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<Vec<(i64, i64, String)>>>()?;
    let mut nodes: HashMap<i64, [i64; 3]> = HashMap::new();
    for (fact, node, mode) in &facts {
        db.prepare_cached("DELETE FROM fact_epoch WHERE fact_id = ?")?
            .execute([fact])?;
        db.prepare_cached("DELETE FROM fact WHERE id = ?")?
            .execute([fact])?;
        let [all, emulated, failed] = nodes.entry(*node).or_default();
        *all += 1;
        *emulated += i64::from(mode == Mode::Emulated.as_str());
        *failed += i64::from(mode == Mode::Failed.as_str());
    }
    for (node, [all, emulated, failed]) in nodes {
        db.prepare_cached(
            "UPDATE node_state SET facts = facts - ?, emulated_facts = emulated_facts - ?,
               failed_facts = failed_facts - ?
             WHERE node_id = ?",
        )?
        .execute([all, emulated, failed, node])?;
    }
    Ok(facts.len())
}

/// Streams that are over and of which nothing is left. What is still to be explained of one stays, and
/// so does the one that the node told of last, for more may come.
fn expire_streams(db: &Connection, before: i64) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "DELETE FROM stream WHERE (node_id, stream_id) IN
           (SELECT s.node_id, s.stream_id FROM stream s
            WHERE s.last_used < ?1 AND s.stream_id <> ?2 AND s.missing <= s.explained
              AND s.last_used < (SELECT MAX(t.last_used) FROM stream t
                                 WHERE t.node_id = s.node_id AND t.stream_id <> ?2)
              AND NOT EXISTS (SELECT 1 FROM event e
                              WHERE e.node_id = s.node_id AND e.stream_id = s.stream_id)
            LIMIT ?3)",
    )?
    .execute([before, from_random(OWN_STREAM), LOOKS])
}

/// Epochs that will not come back any more.
fn expire_epochs(db: &Connection, before: i64) -> rusqlite::Result<usize> {
    let epochs = db
        .prepare_cached(
            "SELECT e.node_id, e.epoch FROM epoch e JOIN node_state s ON s.node_id = e.node_id
             WHERE e.attached_at < ? AND e.epoch <> s.epoch LIMIT ?",
        )?
        .query_map([before, NODES], |row| Ok([row.get(0)?, row.get(1)?]))?
        .collect::<rusqlite::Result<Vec<[i64; 2]>>>()?;
    for epoch in &epochs {
        db.prepare_cached(
            "DELETE FROM fact_epoch
             WHERE fact_id IN (SELECT id FROM fact WHERE node_id = ?) AND epoch = ?",
        )?
        .execute(*epoch)?;
        db.prepare_cached("DELETE FROM epoch WHERE node_id = ? AND epoch = ?")?
            .execute(*epoch)?;
    }
    Ok(epochs.len())
}

/// Owners of cgroups that nothing names any more. Those that are needed are not looked at again until
/// that much time has passed once more.
fn expire_owners(db: &Connection, before: i64, now: i64) -> rusqlite::Result<usize> {
    let owners = db
        .prepare_cached(
            "SELECT id, EXISTS (SELECT 1 FROM fact f WHERE f.owner_id = o.id)
               OR EXISTS (SELECT 1 FROM event e WHERE e.owner_id = o.id)
               OR EXISTS (SELECT 1 FROM emulated_cpu c WHERE c.owner_id = o.id)
             FROM owner o WHERE last_used < ? ORDER BY last_used LIMIT ?",
        )?
        .query_map([before, LOOKS], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, bool)>>>()?;
    for (owner, needed) in &owners {
        if *needed {
            db.prepare_cached("UPDATE owner SET last_used = ? WHERE id = ?")?
                .execute([now, *owner])?;
        } else {
            db.prepare_cached("DELETE FROM owner WHERE id = ?")?
                .execute([owner])?;
        }
    }
    Ok(owners.len())
}

/// How it was with mandated agents.
fn expire_standings(db: &Connection, before: i64) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "DELETE FROM past_standing WHERE (agent, cluster, node, since) IN
           (SELECT agent, cluster, node, since FROM past_standing WHERE until < ? ORDER BY until LIMIT ?)",
    )?
    .execute([before, CHUNK])
}

/// Images that no container of a node has, as far as owners tell, and that nobody told of for long.
fn expire_images(db: &Connection, before: i64, now: i64) -> rusqlite::Result<usize> {
    let images = db
        .prepare_cached(
            "SELECT t.image_id, t.node_id, EXISTS (SELECT 1 FROM owner o
               WHERE o.node_id = t.node_id AND o.image_id = i.digest)
             FROM node_image t JOIN image i ON i.id = t.image_id
             WHERE t.last_used < ? ORDER BY t.last_used LIMIT ?",
        )?
        .query_map([before, LOOKS], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<Vec<(i64, i64, bool)>>>()?;
    for (image, node, needed) in &images {
        if *needed {
            db.prepare_cached(
                "UPDATE node_image SET last_used = ? WHERE image_id = ? AND node_id = ?",
            )?
            .execute([now, *image, *node])?;
            continue;
        }
        db.prepare_cached("DELETE FROM node_image WHERE image_id = ? AND node_id = ?")?
            .execute([image, node])?;
        db.prepare_cached(
            "DELETE FROM image WHERE id = ?1
               AND NOT EXISTS (SELECT 1 FROM node_image WHERE image_id = ?1)",
        )?
        .execute([image])?;
    }
    Ok(images.len())
}
