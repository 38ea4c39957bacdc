//! Nodes: their epochs, who may change their facts, and their signs of life.

mod list;

pub(super) use list::{list, totals};

use std::time::SystemTime;

use archtrace_facts::digest::Digest;
use archtrace_facts::fact::Stage;
use archtrace_facts::report::{Hello, Record, ReportedLoss};
use archtrace_proto::convert::{encode_health, encode_node, encode_preflight};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::cost::{self, Burnt};
use super::events;
use super::values::{digest, from_count, from_random, from_time, to_count, to_time};
use super::writer::Failure;
use crate::store::{Attached, Beat, Lease, NodeId};

/// What is stored of a node, as far as changes of it depend on that.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) epoch: i64,
    pub(super) revision: Option<i64>,
    pub(super) session: i64,
    digest: Digest,
    version: i64,
    complete_at: i64,
}

pub(super) fn state(db: &Connection, node: NodeId) -> rusqlite::Result<State> {
    db.prepare_cached(
        "SELECT epoch, revision, session, digest, version, complete_at FROM node_state
         WHERE node_id = ?",
    )?
    .query_row([node.0], |row| {
        Ok(State {
            epoch: row.get("epoch")?,
            revision: row.get("revision")?,
            session: row.get("session")?,
            digest: digest(row, "digest")?,
            version: row.get("version")?,
            complete_at: row.get("complete_at")?,
        })
    })
}

/// A change of a node under construction.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) db: &'a Connection,
    pub(super) node: NodeId,
    pub(super) epoch: i64,
    pub(super) digest: Digest,
    /// How many rows are more, in all and of each mode.
    pub(super) facts: i64,
    pub(super) emulated_facts: i64,
    pub(super) failed_facts: i64,
    /// CPU time that emulated facts are more.
    pub(super) burnt: Vec<Burnt>,
    /// When the store last held all that the agent had to tell.
    pub(super) complete_at: i64,
    had_version: i64,
    version: i64,
}

impl<'a> Change<'a> {
    pub(super) fn of(db: &'a Connection, node: NodeId, state: &State) -> Self {
        Self {
            db,
            node,
            epoch: state.epoch,
            digest: state.digest,
            facts: 0,
            emulated_facts: 0,
            failed_facts: 0,
            burnt: Vec::new(),
            complete_at: state.complete_at,
            had_version: state.version,
            version: state.version,
        }
    }

    /// The version that readers find the change by. Whoever asks for it changes something that they
    /// see; a change that nobody asked for it leaves the node's version as it is.
    pub(super) fn version(&mut self) -> i64 {
        self.version = self.had_version + 1;
        self.version
    }

    /// The last step. With a `revision`, the store holds all that the agent had to tell.
    pub(super) fn finish(self, revision: Option<i64>, now: SystemTime) -> rusqlite::Result<()> {
        cost::add(&self, now)?;
        self.db
            .prepare_cached(
                "UPDATE node_state SET version = ?1, digest = ?2, facts = facts + ?3,
                   emulated_facts = emulated_facts + ?4, failed_facts = failed_facts + ?5,
                   revision = COALESCE(?6, revision), last_heard = MAX(last_heard, ?7),
                   complete_at = CASE WHEN ?6 IS NULL THEN complete_at ELSE ?7 END
                 WHERE node_id = ?8",
            )?
            .execute(params![
                self.version,
                self.digest.to_bytes(),
                self.facts,
                self.emulated_facts,
                self.failed_facts,
                revision,
                from_time(now),
                self.node.0,
            ])?;
        Ok(())
    }
}

pub(super) fn attach(db: &Connection, hello: &Hello, now: SystemTime) -> Result<Attached, Failure> {
    let epoch = from_random(hello.epoch);
    let known = db
        .prepare_cached(
            "SELECT n.id, s.epoch, s.session = s.forgotten_session, s.complete_at
             FROM node n JOIN node_state s ON s.node_id = n.id
             WHERE n.cluster = ? AND n.name = ?",
        )?
        .query_row(params![hello.cluster, hello.node.name], |row| {
            let (epoch, is_forgotten, complete_at): (i64, bool, i64) =
                (row.get(1)?, row.get(2)?, row.get(3)?);
            let gap = (!is_forgotten).then_some(complete_at);
            Ok((NodeId(row.get(0)?), epoch, gap))
        })
        .optional()?;
    let node = match known {
        None => insert(db, hello, epoch)?,
        Some((node, current, gap)) => {
            if epoch != current {
                change_epoch(db, node, hello, epoch, gap, now)?;
            }
            node
        }
    };
    describe(db, node, hello)?;
    db.prepare_cached(
        "UPDATE node_state SET session = session + 1, last_heard = MAX(last_heard, ?)
         WHERE node_id = ?",
    )?
    .execute([from_time(now), node.0])?;
    let open = |stream, oldest| events::open_stream(db, node, stream, oldest, now);
    let next_sequence = open(hello.event_stream_id, hello.oldest_sequence)?;
    let earlier = hello.earlier_streams.iter();
    let earlier = earlier.map(|earlier| open(earlier.stream_id, earlier.oldest_sequence));
    let earlier_next_sequences = earlier.collect::<rusqlite::Result<_>>()?;
    let State {
        revision,
        session,
        digest,
        ..
    } = state(db, node)?;
    Ok(Attached {
        lease: Lease { node, session },
        held: revision.map(|revision| (to_count(revision), digest)),
        next_sequence,
        earlier_next_sequences,
    })
}

fn insert(db: &Connection, hello: &Hello, epoch: i64) -> rusqlite::Result<NodeId> {
    let attached_at = from_time(hello.attached_at);
    db.prepare_cached("INSERT INTO node (cluster, name, arch) VALUES (?, ?, '')")?
        .execute(params![hello.cluster, hello.node.name])?;
    let node = NodeId(db.last_insert_rowid());
    db.prepare_cached(
        "INSERT INTO node_state (node_id, epoch, digest, session, version, attached_at, last_heard,
           complete_at, facts, emulated_facts, failed_facts)
         VALUES (?1, ?2, ?3, 0, 0, ?4, 0, ?4, 0, 0, 0)",
    )?
    .execute(params![
        node.0,
        epoch,
        Digest::default().to_bytes(),
        attached_at
    ])?;
    db.prepare_cached("INSERT INTO node_info (node_id, info, preflight) VALUES (?, x'', x'')")?
        .execute([node.0])?;
    db.prepare_cached("INSERT INTO epoch (node_id, epoch, attached_at) VALUES (?, ?, ?)")?
        .execute(params![node.0, epoch, attached_at])?;
    Ok(node)
}

/// Notes what the agent says of its node. Most of the time it is what it said before.
fn describe(db: &Connection, node: NodeId, hello: &Hello) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE node SET arch = ?1 WHERE id = ?2 AND arch <> ?1")?
        .execute(params![hello.node.arch.to_string(), node.0])?;
    db.prepare_cached(
        "UPDATE node_info SET info = ?1, preflight = ?2
         WHERE node_id = ?3 AND (info <> ?1 OR preflight <> ?2)",
    )?
    .execute(params![
        encode_node(&hello.node),
        encode_preflight(&hello.preflight),
        node.0,
    ])?;
    Ok(())
}

/// Makes `epoch` the node's current one, and tells the gap before it if it is a new one: from `gap` on, `None` if
/// the node was forgotten, so that nobody missed it.
fn change_epoch(
    db: &Connection,
    node: NodeId,
    hello: &Hello,
    epoch: i64,
    gap: Option<i64>,
    now: SystemTime,
) -> Result<(), Failure> {
    let attached_at = from_time(hello.attached_at);
    let new = db
        .prepare_cached(
            "INSERT OR IGNORE INTO epoch (node_id, epoch, attached_at) VALUES (?, ?, ?)",
        )?
        .execute(params![node.0, epoch, attached_at])?
        > 0;
    let version: i64 = db
        .prepare_cached(
            // The revision is forgotten: nothing of this epoch is live, so a snapshot has to come.
            "UPDATE node_state SET epoch = ?1, revision = NULL, digest = ?2, attached_at = ?3,
               version = version + 1, complete_at = CASE WHEN ?4 THEN ?3 ELSE complete_at END
             WHERE node_id = ?5 RETURNING version",
        )?
        .query_row(
            params![
                epoch,
                Digest::default().to_bytes(),
                attached_at,
                new,
                node.0
            ],
            |row| row.get(0),
        )?;
    db.prepare_cached(
        "UPDATE fact SET processes = 0, live = FALSE, version = ? WHERE node_id = ? AND live = TRUE",
    )?
    .execute([version, node.0])?;
    let Some(complete_at) = gap.filter(|_| new) else {
        return Ok(());
    };
    let loss = ReportedLoss {
        stage: Stage::AgentDown.as_str().to_owned(),
        // What ran while nobody looked cannot be known.
        count: 0,
        since: to_time(complete_at),
        // The node's clock may be behind ours.
        until: to_time(attached_at.max(complete_at)),
        range: None,
    };
    events::append_own(db, node, version, &Record::Loss(loss), now)
}

pub(super) fn heartbeat(db: &Connection, beat: &Beat) -> Result<(), Failure> {
    let current =
        db.prepare_cached(
            "UPDATE node_state SET last_heard = MAX(last_heard, ?1),
               complete_at = CASE WHEN revision = ?2 THEN ?1 ELSE complete_at END,
               health = COALESCE(?3, health)
             WHERE node_id = ?4 AND epoch = ?5",
        )?
        .execute(params![
            from_time(beat.at),
            from_count(beat.revision),
            beat.health.as_ref().map(encode_health),
            beat.node.0,
            from_random(beat.epoch),
        ])? > 0;
    if let Some(preflight) = beat.preflight.as_ref().filter(|_| current) {
        db.prepare_cached("UPDATE node_info SET preflight = ? WHERE node_id = ?")?
            .execute(params![encode_preflight(preflight), beat.node.0])?;
    }
    Ok(())
}
