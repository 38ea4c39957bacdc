//! One fact as a row.

use std::collections::HashMap;

use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Cause, Fact, FactId, Mode, Via};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::cost::Burnt;
use super::super::nodes::Change;
use super::super::values::{from_count, from_random, from_time, to_count, to_random};
use super::super::writer::Failure;
use crate::store::NodeId;

/// What has to be known of a stored fact to change it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) row: i64,
    pub(super) live: bool,
    processes: i64,
    first_seen: i64,
    last_seen: i64,
    /// Which agent told of it last, and what that one's counters stood at.
    epoch: i64,
    told: Told,
    owner: i64,
}

/// An agent's own counters of a fact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    count: u64,
    cpu_ns: u64,
}

impl Stored {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            row: row.get(1)?,
            live: row.get(2)?,
            processes: row.get(3)?,
            first_seen: row.get(4)?,
            last_seen: row.get(5)?,
            epoch: row.get(6)?,
            told: Told {
                count: to_random(row.get(7)?),
                cpu_ns: to_random(row.get(8)?),
            },
            owner: row.get(9)?,
        })
    }

    /// What it adds to the digest of its node.
    fn digest(&self, id: FactId) -> Digest {
        let Told { count, cpu_ns } = self.told;
        Digest::of(id, count, to_count(self.processes), cpu_ns)
    }
}

/// What a fact adds to the digest of its node once it is stored.
pub(super) fn digest(id: FactId, fact: &Fact) -> Digest {
    let processes = to_count(from_count(fact.processes));
    Digest::of(id, fact.count, processes, fact.cpu_ns)
}

/// The facts that the node's agent keeps.
pub(super) fn live(db: &Connection, node: NodeId) -> rusqlite::Result<HashMap<FactId, Stored>> {
    db.prepare_cached(
        "SELECT key_id, id, live, processes, first_seen, last_seen, epoch, agent_count, agent_cpu_ns,
           owner_id
         FROM fact WHERE node_id = ? AND live = TRUE",
    )?
    .query_map([node.0], |row| {
        Ok((FactId(row.get(0)?), Stored::read(row)?))
    })?
    .collect()
}

pub(super) fn find(db: &Connection, node: NodeId, id: FactId) -> rusqlite::Result<Option<Stored>> {
    db.prepare_cached(
        "SELECT key_id, id, live, processes, first_seen, last_seen, epoch, agent_count, agent_cpu_ns,
           owner_id
         FROM fact WHERE node_id = ? AND key_id = ?",
    )?
    .query_row(params![node.0, id.0], Stored::read)
    .optional()
}

pub(super) fn insert(
    change: &mut Change<'_>,
    id: FactId,
    owner: i64,
    fact: &Fact,
) -> Result<(), Failure> {
    let (key, version) = (&fact.key, change.version());
    change
        .db
        .prepare_cached(
            "INSERT INTO fact (node_id, key_id, owner_id, binary, path_resolved, arch, mode, emulator,
               via, cause, count, cpu_ns, first_seen, last_seen, processes, live, version, epoch,
               agent_count, agent_cpu_ns)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, TRUE, ?, ?, ?, ?)",
        )?
        .execute(params![
            change.node.0,
            id.0,
            owner,
            key.binary,
            key.path_resolved,
            key.arch.to_string(),
            key.mode.as_str(),
            key.emulator,
            key.via.map(Via::as_str),
            key.cause.map(Cause::as_str),
            from_count(fact.count),
            from_count(fact.cpu_ns),
            from_time(fact.first_seen),
            from_time(fact.last_seen),
            from_count(fact.processes),
            version,
            change.epoch,
            from_random(fact.count),
            from_random(fact.cpu_ns),
        ])?;
    change.facts += 1;
    change.emulated_facts += i64::from(key.mode == Mode::Emulated);
    change.failed_facts += i64::from(key.mode == Mode::Failed);
    change.digest = change.digest.plus(digest(id, fact));
    burn(change, owner, fact, 0);
    Ok(())
}

/// Notes CPU time beyond what was known of an emulated fact. Others have none.
fn burn(change: &mut Change<'_>, owner: i64, fact: &Fact, had: u64) {
    let cpu_ns = from_count(fact.cpu_ns) - from_count(had);
    if fact.key.mode == Mode::Emulated && cpu_ns != 0 {
        change.burnt.push(Burnt {
            owner,
            since: from_time(fact.first_seen),
            cpu_ns,
        });
    }
}

pub(super) fn update(
    change: &mut Change<'_>,
    id: FactId,
    stored: &Stored,
    fact: &Fact,
) -> Result<(), Failure> {
    let told = Told {
        count: fact.count,
        cpu_ns: fact.cpu_ns,
    };
    let processes = from_count(fact.processes);
    let (first_seen, last_seen) = (from_time(fact.first_seen), from_time(fact.last_seen));
    let known = stored.live
        && (stored.epoch, stored.told) == (change.epoch, told)
        && stored.processes == processes
        && stored.first_seen <= first_seen
        && stored.last_seen >= last_seen;
    if known {
        return Ok(());
    }
    let had = if stored.epoch == change.epoch {
        stored.told
    } else {
        change_epoch(change.db, stored, change.epoch)?
    };
    let version = change.version();
    // Both are at least 0, so the differences fit. Sums that do not fit stay at the highest number:
    // SQLite makes them a float, which MIN then finds to be larger.
    change
        .db
        .prepare_cached(
            "UPDATE fact SET
               count = MIN(count + ?, 9223372036854775807),
               cpu_ns = MIN(cpu_ns + ?, 9223372036854775807),
               first_seen = ?, last_seen = ?, processes = ?, live = TRUE, version = ?, epoch = ?,
               agent_count = ?, agent_cpu_ns = ?
             WHERE id = ?",
        )?
        .execute(params![
            from_count(told.count) - from_count(had.count),
            from_count(told.cpu_ns) - from_count(had.cpu_ns),
            stored.first_seen.min(first_seen),
            stored.last_seen.max(last_seen),
            processes,
            version,
            change.epoch,
            from_random(told.count),
            from_random(told.cpu_ns),
            stored.row,
        ])?;
    if stored.live {
        change.digest = change.digest.minus(stored.digest(id));
    }
    change.digest = change.digest.plus(digest(id, fact));
    burn(change, stored.owner, fact, had.cpu_ns);
    Ok(())
}

/// Puts the counters of the agent that told of a fact last aside, should it come back, and returns
/// those that the agent of `epoch` left, if it was there before.
fn change_epoch(db: &Connection, stored: &Stored, epoch: i64) -> rusqlite::Result<Told> {
    let Told { count, cpu_ns } = stored.told;
    if stored.told != Told::default() {
        db.prepare_cached(
            "INSERT INTO fact_epoch (fact_id, epoch, agent_count, agent_cpu_ns) VALUES (?, ?, ?, ?)
             ON CONFLICT (fact_id, epoch) DO UPDATE SET
               agent_count = excluded.agent_count, agent_cpu_ns = excluded.agent_cpu_ns",
        )?
        .execute(params![
            stored.row,
            stored.epoch,
            from_random(count),
            from_random(cpu_ns)
        ])?;
    }
    let left = db
        .prepare_cached(
            "DELETE FROM fact_epoch WHERE fact_id = ? AND epoch = ?
             RETURNING agent_count, agent_cpu_ns",
        )?
        .query_row([stored.row, epoch], |row| {
            Ok(Told {
                count: to_random(row.get(0)?),
                cpu_ns: to_random(row.get(1)?),
            })
        })
        .optional()?;
    Ok(left.unwrap_or_default())
}

/// The agent dropped a live fact: it stays as history, and the agent would count it from zero.
pub(super) fn retire(change: &mut Change<'_>, id: FactId, stored: &Stored) -> Result<(), Failure> {
    let version = change.version();
    change
        .db
        .prepare_cached(
            "UPDATE fact SET processes = 0, live = FALSE, version = ?, agent_count = 0,
               agent_cpu_ns = 0
             WHERE id = ?",
        )?
        .execute([version, stored.row])?;
    change.digest = change.digest.minus(stored.digest(id));
    Ok(())
}

/// After the first snapshot of an epoch, which may have been there before: facts that it had then and
/// that the snapshot leaves out would be counted from zero, too.
pub(super) fn forget_left_out(change: &Change<'_>) -> rusqlite::Result<()> {
    let of_epoch = [change.node.0, change.epoch];
    change
        .db
        .prepare_cached(
            "UPDATE fact SET agent_count = 0, agent_cpu_ns = 0
             WHERE node_id = ? AND live = FALSE AND epoch = ?
               AND (agent_count <> 0 OR agent_cpu_ns <> 0)",
        )?
        .execute(of_epoch)?;
    change
        .db
        .prepare_cached(
            "DELETE FROM fact_epoch
             WHERE fact_id IN (SELECT id FROM fact WHERE node_id = ? AND live = FALSE) AND epoch = ?",
        )?
        .execute(of_epoch)?;
    Ok(())
}
