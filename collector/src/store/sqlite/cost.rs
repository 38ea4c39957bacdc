//! What emulation costs: CPU time by hour, then by day, and what machines nodes are.

use std::collections::BTreeMap;
use std::time::SystemTime;

use archtrace_facts::cost::{Hour, spread};
use archtrace_facts::fleet::Machine;
use rusqlite::{Connection, params};

use super::nodes::Change;
use super::values::to_time;
use crate::store::NodeId;
use crate::store::sql::COST_WORKLOAD;

/// CPU time that an update adds to an emulated fact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burnt {
    pub(super) owner: i64,
    /// When the fact was first seen: nothing of it was used before.
    pub(super) since: i64,
    pub(super) cpu_ns: i64,
}

/// Notes what was used since the store last held all that the agent had to tell.
pub(super) fn add(change: &Change<'_>, now: SystemTime) -> rusqlite::Result<()> {
    if change.burnt.is_empty() {
        return Ok(());
    }
    let mut hours: BTreeMap<(Hour, i64), i64> = BTreeMap::new();
    for burnt in &change.burnt {
        let since = to_time(burnt.since.max(change.complete_at));
        for (hour, cpu_ns) in spread(burnt.cpu_ns, since, now) {
            let sum = hours.entry((hour, burnt.owner)).or_default();
            *sum = sum.saturating_add(cpu_ns);
        }
    }
    for ((hour, owner), cpu_ns) in hours {
        // A sum that does not fit becomes a float, which MIN and MAX then find to be beyond.
        change
            .db
            .prepare_cached(
                "INSERT INTO emulated_cpu (owner_id, hour, node_id, cpu_ns) VALUES (?, ?, ?, ?)
                 ON CONFLICT (owner_id, hour) DO UPDATE SET
                   cpu_ns = MAX(MIN(cpu_ns + excluded.cpu_ns, 9223372036854775807),
                     -9223372036854775807)",
            )?
            .execute([owner, hour.0, change.node.0, cpu_ns])?;
    }
    Ok(())
}

/// Makes days of hours before this one, at most so many rows, and returns how many these were.
pub(super) fn fold(db: &Connection, before: Hour, rows: i64) -> rusqlite::Result<usize> {
    let hours = db
        .prepare_cached(&format!(
            "SELECT h.owner_id, h.hour, h.node_id, h.cpu_ns, o.namespace, {COST_WORKLOAD}
             FROM emulated_cpu h JOIN owner o ON o.id = h.owner_id
             WHERE h.hour < ? ORDER BY h.hour, h.owner_id LIMIT ?"
        ))?
        .query_map([before.0, rows], |row| {
            let place: [i64; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
            Ok((place, row.get(3)?, row.get(4)?, row.get(5)?))
        })?
        .collect::<rusqlite::Result<Vec<([i64; 3], i64, String, String)>>>()?;
    for (place, cpu_ns, namespace, workload) in &hours {
        let [owner, hour, node] = *place;
        db.prepare_cached(
            "INSERT INTO emulated_cpu_day (day, node_id, namespace, workload, cpu_ns)
             VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (day, node_id, namespace, workload) DO UPDATE SET
               cpu_ns = MAX(MIN(cpu_ns + excluded.cpu_ns, 9223372036854775807),
                 -9223372036854775807)",
        )?
        .execute(params![Hour(hour).day(), node, namespace, workload, cpu_ns])?;
        db.prepare_cached("DELETE FROM emulated_cpu WHERE owner_id = ? AND hour = ?")?
            .execute([owner, hour])?;
    }
    Ok(hours.len())
}

/// Deletes hours and days before this one, at most so many rows of each, and returns how many these were.
pub(super) fn expire(db: &Connection, before: Hour, rows: i64) -> rusqlite::Result<usize> {
    let hours = db
        .prepare_cached(
            "DELETE FROM emulated_cpu WHERE (owner_id, hour) IN
               (SELECT owner_id, hour FROM emulated_cpu WHERE hour < ?
                ORDER BY hour, owner_id LIMIT ?)",
        )?
        .execute([before.0, rows])?;
    let days = db
        .prepare_cached(
            "DELETE FROM emulated_cpu_day WHERE (day, node_id, namespace, workload) IN
               (SELECT day, node_id, namespace, workload FROM emulated_cpu_day WHERE day < ?
                ORDER BY day, node_id, namespace, workload LIMIT ?)",
        )?
        .execute([before.day(), rows])?;
    Ok(hours + days)
}

/// Notes what machines nodes are.
pub(super) fn note_machines(
    db: &Connection,
    machines: &[(NodeId, Machine)],
) -> rusqlite::Result<()> {
    for (node, machine) in machines {
        db.prepare_cached(
            "INSERT INTO node_machine (node_id, instance_type, zone)
             SELECT id, ?2, ?3 FROM node WHERE id = ?1
             ON CONFLICT (node_id) DO UPDATE SET
               instance_type = excluded.instance_type, zone = excluded.zone
             WHERE instance_type <> excluded.instance_type OR zone <> excluded.zone",
        )?
        .execute(params![node.0, machine.instance_type, machine.zone])?;
    }
    Ok(())
}
