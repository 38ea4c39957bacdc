//! Facts: what agents say is true now, and what was true.

use std::collections::HashSet;
use std::time::SystemTime;

use archtrace_facts::fact::{Cause, Fact, FactId, Mode, Via};
use archtrace_facts::fleet::NodeFact;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::select::Conditions;
use super::values::{from_count, from_random, from_time, identity, key, to_count, to_time, word};
use super::writer::Failure;
use super::{nodes, owners};
use crate::store::{Applied, Delta, FactCursor, FactQuery, NodeId, Snapshot};

pub(super) fn apply_snapshot(
    db: &Connection,
    node: NodeId,
    snapshot: &Snapshot,
    now: SystemTime,
) -> Result<Applied, Failure> {
    let epoch = from_random(snapshot.epoch);
    if current(db, node)?.0 != epoch {
        return Ok(Applied::OtherEpoch);
    }
    let mut kept = HashSet::new();
    for fact in &snapshot.facts {
        kept.insert(upsert(db, node, epoch, fact)?);
    }
    let live = db
        .prepare_cached("SELECT id FROM fact WHERE node_id = ? AND live_epoch = ?")?
        .query_map([node.0, epoch], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    for fact in live.into_iter().filter(|fact| !kept.contains(fact)) {
        retire(db, fact, epoch)?;
    }
    owners::take(db, node, &snapshot.owners, &snapshot.images, now)?;
    advance(db, node, snapshot.revision, now)
}

pub(super) fn apply_delta(
    db: &Connection,
    node: NodeId,
    delta: &Delta,
    now: SystemTime,
) -> Result<Applied, Failure> {
    let epoch = from_random(delta.epoch);
    let (current, revision) = current(db, node)?;
    if current != epoch {
        return Ok(Applied::OtherEpoch);
    }
    if revision != Some(delta.base_revision) {
        return Ok(Applied::OtherRevision(revision));
    }
    for fact in &delta.upserts {
        upsert(db, node, epoch, fact)?;
    }
    for id in &delta.removed {
        let fact = find(db, node, *id, epoch)?;
        if let Some((fact, ..)) = fact {
            retire(db, fact, epoch)?;
        }
    }
    owners::take(db, node, &delta.owners, &delta.images, now)?;
    advance(db, node, delta.revision, now)
}

/// Epoch and revision of what is stored.
fn current(db: &Connection, node: NodeId) -> rusqlite::Result<(i64, Option<u64>)> {
    db.prepare_cached("SELECT epoch, revision FROM node WHERE id = ?")?
        .query_row([node.0], |row| {
            let revision: Option<i64> = row.get(1)?;
            Ok((row.get(0)?, revision.map(to_count)))
        })
}

/// The last step of every update: from here on the store holds all that the agent had to tell.
fn advance(
    db: &Connection,
    node: NodeId,
    revision: u64,
    now: SystemTime,
) -> Result<Applied, Failure> {
    db.prepare_cached("UPDATE node SET revision = ?, complete_at = ? WHERE id = ?")?
        .execute(params![from_count(revision), from_time(now), node.0])?;
    nodes::heard(db, node, now)?;
    Ok(Applied::Yes)
}

/// A stored fact, and what the agent's counters of this epoch stood at.
fn find(
    db: &Connection,
    node: NodeId,
    id: FactId,
    epoch: i64,
) -> rusqlite::Result<Option<(i64, i64, i64)>> {
    db.prepare_cached(
        "SELECT f.id, COALESCE(e.agent_count, 0), COALESCE(e.agent_cpu_ns, 0)
         FROM fact f LEFT JOIN fact_epoch e ON e.fact_id = f.id AND e.epoch = ?
         WHERE f.node_id = ? AND f.key_id = ?",
    )?
    .query_row(params![epoch, node.0, id.0], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
    .optional()
}

/// Takes over a fact as the agent tells it, and returns its row.
fn upsert(db: &Connection, node: NodeId, epoch: i64, fact: &Fact) -> Result<i64, Failure> {
    let id = fact.key.id();
    let (count, cpu_ns) = (from_count(fact.count), from_count(fact.cpu_ns));
    let (row, had_count, had_cpu_ns) = match find(db, node, id, epoch)? {
        Some(found) => found,
        None => (insert(db, node, id, fact)?, 0, 0),
    };
    // Both are at least 0, so the differences fit. Sums that do not fit stay at the highest number:
    // SQLite makes them a float, which MIN then finds to be larger.
    let (more, more_cpu_ns) = (count - had_count, cpu_ns - had_cpu_ns);
    db.prepare_cached(
        "UPDATE fact SET
           count = MIN(count + ?1, 9223372036854775807),
           cpu_ns = MIN(cpu_ns + ?2, 9223372036854775807),
           processes = ?3, live_epoch = ?4,
           first_seen = MIN(first_seen, ?5), last_seen = MAX(last_seen, ?6)
         WHERE id = ?7",
    )?
    .execute(params![
        more,
        more_cpu_ns,
        from_count(fact.processes),
        epoch,
        from_time(fact.first_seen),
        from_time(fact.last_seen),
        row,
    ])?;
    db.prepare_cached(
        "INSERT INTO fact_epoch (fact_id, epoch, count, cpu_ns, agent_count, agent_cpu_ns)
         VALUES (?1, ?2, ?3, ?4, ?3, ?4)
         ON CONFLICT (fact_id, epoch) DO UPDATE SET
           count = MIN(count + ?5, 9223372036854775807),
           cpu_ns = MIN(cpu_ns + ?6, 9223372036854775807),
           agent_count = excluded.agent_count, agent_cpu_ns = excluded.agent_cpu_ns",
    )?
    .execute(params![row, epoch, count, cpu_ns, more, more_cpu_ns])?;
    Ok(row)
}

fn insert(db: &Connection, node: NodeId, id: FactId, fact: &Fact) -> Result<i64, Failure> {
    let key = &fact.key;
    db.prepare_cached(
        "INSERT INTO fact (node_id, key_id, cgroup, binary, path_resolved, arch, mode, emulator,
           via, cause, count, cpu_ns, processes, first_seen, last_seen)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?)",
    )?
    .execute(params![
        node.0,
        id.0,
        key.cgroup,
        key.binary,
        key.path_resolved,
        key.arch.to_string(),
        key.mode.as_str(),
        key.emulator,
        key.via.map(Via::as_str),
        key.cause.map(Cause::as_str),
        from_time(fact.first_seen),
        from_time(fact.last_seen),
    ])?;
    Ok(db.last_insert_rowid())
}

/// The agent dropped the fact: it stays as history, and the agent would count it from zero.
fn retire(db: &Connection, fact: i64, epoch: i64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE fact SET processes = 0, live_epoch = NULL WHERE id = ?")?
        .execute([fact])?;
    db.prepare_cached(
        "UPDATE fact_epoch SET agent_count = 0, agent_cpu_ns = 0 WHERE fact_id = ? AND epoch = ?",
    )?
    .execute([fact, epoch])?;
    Ok(())
}

pub(super) fn list(
    db: &Connection,
    query: &FactQuery,
) -> Result<Vec<(FactCursor, NodeFact)>, Failure> {
    let FactQuery {
        filter,
        running,
        alive_since,
        after,
        limit,
    } = query;
    let alive_since = from_time(*alive_since);
    let mut conditions = Conditions::default();
    conditions.any_of("n.name", filter.nodes.iter().cloned());
    conditions.any_of("o.namespace", filter.namespaces.iter().cloned());
    conditions.any_of("o.pod", filter.pods.iter().cloned());
    conditions.any_of("f.arch", filter.archs.iter().map(ToString::to_string));
    conditions.any_of("f.mode", filter.modes.iter().map(ToString::to_string));
    if !filter.modes.is_empty() && !filter.modes.contains(&Mode::Native) {
        // Says again what the modes say, in the words of the partial index.
        conditions.add("f.mode <> 'native'", []);
    }
    if let Some(since) = filter.since {
        conditions.add("f.last_seen >= ?", [Value::Integer(from_time(since))]);
    }
    if *running {
        let text = "f.processes > 0 AND f.live_epoch = n.epoch AND n.last_heard >= ?";
        conditions.add(text, [Value::Integer(alive_since)]);
    }
    if let Some(after) = after {
        conditions.add("f.id < ?", [Value::Integer(after.0)]);
    }
    let sql = format!(
        "SELECT f.*, n.cluster, n.name AS node, n.arch AS node_arch, n.last_heard,
           f.live_epoch IS n.epoch AS live, o.identity
         FROM fact f JOIN node n ON n.id = f.node_id
           LEFT JOIN owner o ON o.node_id = f.node_id AND o.cgroup = f.cgroup{}
         ORDER BY f.id DESC LIMIT ?",
        conditions.clause()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = conditions.values([Value::Integer((*limit).into())]);
    let mut rows = statement.query(params_from_iter(values))?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        facts.push((FactCursor(row.get("id")?), read(row, alive_since)?));
    }
    Ok(facts)
}

fn read(row: &Row<'_>, alive_since: i64) -> Result<NodeFact, Failure> {
    let current = row.get::<_, i64>("last_heard")? >= alive_since;
    let live: bool = row.get("live")?;
    let count = |column: &str| row.get(column).map(to_count);
    let fact = Fact {
        key: key(row)?,
        count: count("count")?,
        processes: if current && live {
            count("processes")?
        } else {
            0
        },
        cpu_ns: count("cpu_ns")?,
        first_seen: to_time(row.get("first_seen")?),
        last_seen: to_time(row.get("last_seen")?),
    };
    Ok(NodeFact {
        cluster: row.get("cluster")?,
        node: row.get("node")?,
        node_arch: word(row, "node_arch")?,
        identity: identity(row, &fact.key.cgroup)?,
        fact,
        current,
    })
}
