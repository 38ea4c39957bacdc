//! Nodes: their epochs, their health, and sums over what they reported.

use std::collections::HashMap;
use std::time::SystemTime;

use archtrace_facts::fact::Stage;
use archtrace_facts::fleet::{LossTotal, NodeState, NodeStatus, Totals};
use archtrace_facts::report::{Hello, Record, ReportedLoss};
use archtrace_proto::convert::{decode_node, decode_preflight, encode_node, encode_preflight};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::events;
use super::select::Conditions;
use super::values::{from_count, from_random, from_time, to_count, to_time};
use super::writer::Failure;
use crate::store::{Attached, Beat, NodeId, NodeQuery};

pub(super) fn attach(db: &Connection, hello: &Hello, now: SystemTime) -> Result<Attached, Failure> {
    let epoch = from_random(hello.epoch);
    let known = db
        .prepare_cached("SELECT id, epoch, complete_at FROM node WHERE cluster = ? AND name = ?")?
        .query_row(params![hello.cluster, hello.node.name], |row| {
            Ok((NodeId(row.get(0)?), row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let node = match known {
        None => insert(db, hello, epoch, now)?,
        Some((node, current, complete_at)) => {
            if epoch != current {
                change_epoch(db, node, hello, epoch, complete_at)?;
            }
            node
        }
    };
    db.prepare_cached(
        "UPDATE node SET arch = ?, info = ?, preflight = ?, last_heard = ? WHERE id = ?",
    )?
    .execute(params![
        hello.node.arch.to_string(),
        encode_node(&hello.node),
        encode_preflight(&hello.preflight),
        from_time(now),
        node.0,
    ])?;
    let next_sequence =
        events::open_stream(db, node, hello.event_stream_id, hello.oldest_sequence)?;
    let revision: Option<i64> = db
        .prepare_cached("SELECT revision FROM node WHERE id = ?")?
        .query_row([node.0], |row| row.get(0))?;
    Ok(Attached {
        node,
        revision: revision.map(to_count),
        next_sequence,
    })
}

fn insert(db: &Connection, hello: &Hello, epoch: i64, now: SystemTime) -> Result<NodeId, Failure> {
    let attached_at = from_time(hello.attached_at);
    db.prepare_cached(
        "INSERT INTO node (cluster, name, arch, info, preflight, epoch, attached_at, last_heard, complete_at)
         VALUES (?, ?, '', x'', x'', ?, ?, ?, ?)",
    )?
    .execute(params![
        hello.cluster,
        hello.node.name,
        epoch,
        attached_at,
        from_time(now),
        attached_at
    ])?;
    let node = NodeId(db.last_insert_rowid());
    db.prepare_cached("INSERT INTO epoch (node_id, epoch, attached_at) VALUES (?, ?, ?)")?
        .execute(params![node.0, epoch, attached_at])?;
    Ok(node)
}

/// Makes `epoch` the node's current one, and tells the gap before it if it is a new one.
fn change_epoch(
    db: &Connection,
    node: NodeId,
    hello: &Hello,
    epoch: i64,
    complete_at: i64,
) -> Result<(), Failure> {
    let attached_at = from_time(hello.attached_at);
    // The revision is forgotten: other epochs changed what is live, so a snapshot has to come.
    db.prepare_cached("UPDATE node SET epoch = ?, revision = NULL, attached_at = ? WHERE id = ?")?
        .execute(params![epoch, attached_at, node.0])?;
    let new = db
        .prepare_cached(
            "INSERT OR IGNORE INTO epoch (node_id, epoch, attached_at) VALUES (?, ?, ?)",
        )?
        .execute(params![node.0, epoch, attached_at])?;
    if new == 0 {
        return Ok(());
    }
    db.prepare_cached("UPDATE node SET complete_at = ? WHERE id = ?")?
        .execute([attached_at, node.0])?;
    let loss = ReportedLoss {
        stage: Stage::AgentDown.as_str().to_owned(),
        // What ran while nobody looked cannot be known.
        count: 0,
        since: to_time(complete_at),
        // The node's clock may be behind ours.
        until: to_time(attached_at.max(complete_at)),
    };
    events::append_own(db, node, &Record::Loss(loss))
}

pub(super) fn heartbeat(
    db: &Connection,
    node: NodeId,
    beat: &Beat,
    now: SystemTime,
) -> Result<(), Failure> {
    heard(db, node, now)?;
    db.prepare_cached(
        "UPDATE node SET complete_at = ?1 WHERE id = ?2 AND epoch = ?3 AND revision = ?4",
    )?
    .execute(params![
        from_time(now),
        node.0,
        from_random(beat.epoch),
        from_count(beat.revision)
    ])?;
    if let Some(preflight) = &beat.preflight {
        db.prepare_cached("UPDATE node SET preflight = ? WHERE id = ?")?
            .execute(params![encode_preflight(preflight), node.0])?;
    }
    Ok(())
}

/// Notes that the node's agent is alive; whatever it says is a sign of life.
pub(super) fn heard(db: &Connection, node: NodeId, now: SystemTime) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE node SET last_heard = MAX(last_heard, ?) WHERE id = ?")?
        .execute(params![from_time(now), node.0])?;
    Ok(())
}

pub(super) fn list(
    db: &Connection,
    query: &NodeQuery,
) -> Result<Vec<(NodeId, NodeStatus)>, Failure> {
    let alive_since = from_time(query.alive_since);
    let mut conditions = Conditions::default();
    conditions.any_of("n.name", query.names.iter().cloned());
    if let Some(after) = query.after {
        conditions.add("n.id > ?", [Value::Integer(after.0)]);
    }
    // One lookup per node and sum, each along an index that holds what it needs.
    let sql = format!(
        "SELECT n.*,
           (SELECT COUNT(*) FROM fact f WHERE f.node_id = n.id) AS facts,
           (SELECT COUNT(*) FROM fact f WHERE f.node_id = n.id AND f.mode = 'emulated'
              AND f.mode <> 'native') AS emulated,
           (SELECT COUNT(*) FROM fact f WHERE f.node_id = n.id AND f.mode = 'failed'
              AND f.mode <> 'native') AS failed,
           (SELECT TOTAL(f.processes) FROM fact f WHERE f.node_id = n.id AND f.mode = 'emulated'
              AND f.mode <> 'native' AND f.live_epoch = n.epoch) AS processes
         FROM node n{} ORDER BY n.id LIMIT ?",
        conditions.clause()
    );
    let mut losses = losses_by_node(db)?;
    let mut statement = db.prepare_cached(&sql)?;
    let values = conditions.values([Value::Integer(query.limit.into())]);
    let mut rows = statement.query(params_from_iter(values))?;
    let mut nodes = Vec::new();
    while let Some(row) = rows.next()? {
        let id = NodeId(row.get("id")?);
        let losses = losses.remove(&id.0).unwrap_or_default();
        nodes.push((id, read(row, alive_since, losses)?));
    }
    Ok(nodes)
}

fn read(row: &Row<'_>, alive_since: i64, losses: Vec<LossTotal>) -> Result<NodeStatus, Failure> {
    let last_heard: i64 = row.get("last_heard")?;
    let reporting = last_heard >= alive_since;
    let info = row.get_ref("info")?.as_blob()?;
    let preflight = row.get_ref("preflight")?.as_blob()?;
    let count = |column: &str| row.get(column).map(to_count);
    Ok(NodeStatus {
        cluster: row.get("cluster")?,
        info: decode_node(info)?,
        state: if reporting {
            NodeState::Reporting
        } else {
            NodeState::Stale
        },
        last_heard: to_time(last_heard),
        attached_at: to_time(row.get("attached_at")?),
        preflight: decode_preflight(preflight)?,
        facts: count("facts")?,
        emulated_facts: count("emulated")?,
        failed_facts: count("failed")?,
        emulated_processes: if reporting {
            rounded(row.get("processes")?)
        } else {
            0
        },
        losses,
    })
}

/// Sums are built with `TOTAL`, because `SUM` fails when it overflows, and what is summed up comes
/// from peers. Exact up to 2^53; beyond 64 bits the highest number.
fn rounded(total: f64) -> u64 {
    // A cast from float to integer saturates.
    total as u64
}

fn losses_by_node(db: &Connection) -> Result<HashMap<i64, Vec<LossTotal>>, Failure> {
    let mut statement = db.prepare_cached(
        "SELECT node_id, stage, TOTAL(count), COUNT(*) FROM event WHERE kind = 'loss'
         GROUP BY node_id, stage ORDER BY node_id, stage",
    )?;
    let mut rows = statement.query([])?;
    let mut losses: HashMap<i64, Vec<LossTotal>> = HashMap::new();
    while let Some(row) = rows.next()? {
        losses.entry(row.get(0)?).or_default().push(LossTotal {
            stage: row.get(1)?,
            count: rounded(row.get(2)?),
            records: to_count(row.get(3)?),
        });
    }
    Ok(losses)
}

pub(super) fn totals(db: &Connection, alive_since: SystemTime) -> Result<Totals, Failure> {
    let number = |sql: &str| {
        db.prepare_cached(sql)?
            .query_row([], |row| row.get(0).map(to_count))
    };
    let total = |sql: &str| {
        db.prepare_cached(sql)?
            .query_row([], |row| row.get(0).map(rounded))
    };
    let nodes = number("SELECT COUNT(*) FROM node")?;
    let reporting: i64 = db
        .prepare_cached("SELECT COUNT(*) FROM node WHERE last_heard >= ?")?
        .query_row([from_time(alive_since)], |row| row.get(0))?;
    let mut losses: Vec<LossTotal> = Vec::new();
    for loss in losses_by_node(db)?.into_values().flatten() {
        match losses.iter_mut().find(|total| total.stage == loss.stage) {
            Some(total) => {
                total.count = total.count.saturating_add(loss.count);
                total.records = total.records.saturating_add(loss.records);
            }
            None => losses.push(loss),
        }
    }
    losses.sort_by(|a, b| a.stage.cmp(&b.stage));
    let pages = number("PRAGMA page_count")?;
    Ok(Totals {
        bytes: pages.saturating_mul(number("PRAGMA page_size")?),
        nodes_reporting: to_count(reporting),
        nodes_stale: nodes.saturating_sub(to_count(reporting)),
        facts: number("SELECT COUNT(*) FROM fact")?,
        emulated_facts: number(
            "SELECT COUNT(*) FROM fact WHERE mode = 'emulated' AND mode <> 'native'",
        )?,
        failed_facts: number(
            "SELECT COUNT(*) FROM fact WHERE mode = 'failed' AND mode <> 'native'",
        )?,
        events: total("SELECT TOTAL(events) FROM stream")?,
        unexplained_gap: total("SELECT TOTAL(unexplained_gap) FROM stream")?,
        losses,
    })
}
