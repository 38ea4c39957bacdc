//! Nodes as readers see them, and sums over all.

use std::time::SystemTime;

use archtrace_facts::fleet::{LossTotal, NodeState, NodeStatus, Totals};
use archtrace_proto::convert::{decode_health, decode_node, decode_preflight};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::super::select::Conditions;
use super::super::values::{from_time, to_count, to_time};
use super::super::writer::Failure;
use crate::store::NodeId;
use archtrace_query::read::NodeQuery;

pub(in super::super) fn list(
    db: &Connection,
    query: &NodeQuery,
) -> Result<Vec<(NodeId, NodeStatus)>, Failure> {
    let alive_since = from_time(query.alive_since);
    let mut conditions = Conditions::default();
    conditions.add("s.session <> s.forgotten_session", []);
    conditions.any_of("n.name", query.names.iter().cloned());
    if let Some(after) = query.after {
        conditions.add("n.id > ?", [Value::Integer(after.0)]);
    }
    // The index of the inner SELECT holds all that it needs; history has no processes.
    let sql = format!(
        "SELECT n.id, n.cluster, i.info, i.preflight, s.last_heard, s.attached_at, s.health, s.facts,
           s.emulated_facts, s.failed_facts,
           (SELECT TOTAL(f.processes) FROM fact f WHERE f.node_id = n.id AND f.mode = 'emulated'
              AND f.mode <> 'native') AS processes
         FROM node n JOIN node_state s ON s.node_id = n.id JOIN node_info i ON i.node_id = n.id{}
         ORDER BY n.id LIMIT ?",
        conditions.clause()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = conditions.values([Value::Integer(query.limit.into())]);
    let mut rows = statement.query(params_from_iter(values))?;
    let mut nodes = Vec::new();
    while let Some(row) = rows.next()? {
        let id = NodeId(row.get("id")?);
        nodes.push((id, read(row, alive_since, losses_of(db, id)?)?));
    }
    Ok(nodes)
}

fn read(row: &Row<'_>, alive_since: i64, losses: Vec<LossTotal>) -> Result<NodeStatus, Failure> {
    let last_heard: i64 = row.get("last_heard")?;
    let reporting = last_heard >= alive_since;
    let info = row.get_ref("info")?.as_blob()?;
    let preflight = row.get_ref("preflight")?.as_blob()?;
    let health = row.get_ref("health")?.as_blob_or_null()?;
    let count = |column: &str| row.get(column).map(to_count);
    Ok(NodeStatus {
        cluster: row.get("cluster")?,
        info: decode_node(info)?,
        state: if reporting {
            NodeState::Reporting
        } else {
            NodeState::Stale
        },
        last_heard: Some(to_time(last_heard)),
        attached_at: Some(to_time(row.get("attached_at")?)),
        preflight: decode_preflight(preflight)?,
        facts: count("facts")?,
        emulated_facts: count("emulated_facts")?,
        failed_facts: count("failed_facts")?,
        emulated_processes: if reporting {
            rounded(row.get("processes")?)
        } else {
            0
        },
        losses,
        health: health.map(decode_health).transpose()?,
    })
}

/// Sums are built with `TOTAL`, because `SUM` fails when it overflows, and what is summed up comes
/// from peers. Exact up to 2^53; beyond 64 bits the highest number.
fn rounded(total: f64) -> u64 {
    // A cast from float to integer saturates.
    total as u64
}

fn losses_of(db: &Connection, node: NodeId) -> rusqlite::Result<Vec<LossTotal>> {
    db.prepare_cached(
        "SELECT stage, count, records FROM loss_total WHERE node_id = ? ORDER BY stage",
    )?
    .query_map([node.0], |row| {
        Ok(LossTotal {
            stage: row.get(0)?,
            count: row.get(1).map(to_count)?,
            records: row.get(2).map(to_count)?,
        })
    })?
    .collect()
}

pub(in super::super) fn totals(
    db: &Connection,
    alive_since: SystemTime,
) -> Result<Totals, Failure> {
    let number = |sql: &str| {
        db.prepare_cached(sql)?
            .query_row([], |row| row.get(0).map(to_count))
    };
    let mut totals = db
        .prepare_cached(
            "SELECT CAST(TOTAL(session <> forgotten_session) AS INTEGER),
               TOTAL(last_heard >= ? AND session <> forgotten_session), TOTAL(facts),
               TOTAL(emulated_facts), TOTAL(failed_facts)
             FROM node_state",
        )?
        .query_row([from_time(alive_since)], |row| {
            let reporting = row.get(1).map(rounded)?;
            Ok(Totals {
                nodes_reporting: reporting,
                nodes_stale: row.get(0).map(to_count)?.saturating_sub(reporting),
                facts: row.get(2).map(rounded)?,
                emulated_facts: row.get(3).map(rounded)?,
                failed_facts: row.get(4).map(rounded)?,
                ..Totals::default()
            })
        })?;
    (totals.events, totals.unexplained_gap) = db
        .prepare_cached(
            "SELECT TOTAL(events), TOTAL(MAX(missing - explained, 0))
               + (SELECT TOTAL(count) FROM forgotten WHERE kind = 'gap')
             FROM stream",
        )?
        .query_row([], |row| {
            Ok((row.get(0).map(rounded)?, row.get(1).map(rounded)?))
        })?;
    totals.losses = db
        .prepare_cached(
            "SELECT stage, TOTAL(count), TOTAL(records)
             FROM (SELECT stage, count, records FROM loss_total UNION ALL
                   SELECT stage, count, records FROM forgotten WHERE kind = 'loss')
             GROUP BY stage ORDER BY stage",
        )?
        .query_map([], |row| {
            Ok(LossTotal {
                stage: row.get(0)?,
                count: row.get(1).map(rounded)?,
                records: row.get(2).map(rounded)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    totals.bytes = number("PRAGMA page_count")?.saturating_mul(number("PRAGMA page_size")?);
    Ok(totals)
}
