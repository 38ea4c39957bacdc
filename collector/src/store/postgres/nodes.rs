//! Nodes: their epochs, who may change their facts, and their signs of life.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use archtrace_facts::digest::Digest;
use archtrace_facts::fact::Stage;
use archtrace_facts::report::{Hello, Record, ReportedLoss};
use archtrace_proto::convert::{encode_health, encode_node, encode_preflight};
use tokio_postgres::Row;

use super::events;
use super::pool::{Change, Outcome, Transaction};
use super::writes::{Writes, values};
use crate::store::sql::{Failure, from_count, from_random, from_time, to_count, to_time};
use crate::store::{Attached, Beat, Lease, NodeId};

/// What is stored of a node, as far as changes of it depend on that.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) epoch: i64,
    pub(super) revision: Option<i64>,
    pub(super) session: i64,
    pub(super) digest: Digest,
    pub(super) version: i64,
    pub(super) complete_at: i64,
    is_forgotten: bool,
}

/// Locks the node against other changes until the transaction ends, and reads it. This comes first in
/// every change: whoever holds it waits for no other node.
pub(super) async fn lock(tx: &Transaction, node: NodeId) -> Result<State, Failure> {
    let state = lock_if_there(tx, node).await?;
    state.ok_or_else(|| format!("node {} is no more; its agent has to come again", node.0).into())
}

async fn lock_if_there(tx: &Transaction, node: NodeId) -> Result<Option<State>, Failure> {
    let rows = tx
        .rows(
            "SELECT epoch, revision, session, digest, version, complete_at,
               session = forgotten_session
             FROM node_state WHERE node_id = $1 FOR UPDATE",
            &[&node.0],
        )
        .await?;
    rows.first().map(read).transpose()
}

fn read(row: &Row) -> Result<State, Failure> {
    let digest: &[u8] = row.try_get(3)?;
    Ok(State {
        epoch: row.try_get(0)?,
        revision: row.try_get(1)?,
        session: row.try_get(2)?,
        digest: Digest::from_bytes(digest.try_into()?),
        version: row.try_get(4)?,
        complete_at: row.try_get(5)?,
        is_forgotten: row.try_get(6)?,
    })
}

/// [`crate::store::Store::attach`].
#[derive(Debug)]
pub(super) struct Attach {
    pub(super) hello: Hello,
    pub(super) now: SystemTime,
}

impl Change for Attach {
    type Answer = Attached;

    async fn make(&self, tx: &Transaction) -> Result<Outcome<Attached>, Failure> {
        let Self { hello, now } = self;
        let epoch = from_random(hello.epoch);
        let (node, mut state) = loop {
            let node = find_or_insert(tx, hello, epoch).await?;
            // One that was forgotten long ago may be removed in between.
            if let Some(state) = lock_if_there(tx, node).await? {
                break (node, state);
            }
        };
        if epoch != state.epoch {
            change_epoch(tx, node, &mut state, hello, *now).await?;
        }
        let mut next_sequences = Vec::new();
        let earlier = hello.earlier_streams.iter();
        let earlier = earlier.map(|earlier| (earlier.stream_id, earlier.oldest_sequence));
        let streams = [(hello.event_stream_id, hello.oldest_sequence)].into_iter();
        for (stream, oldest) in streams.chain(earlier) {
            let stream = events::open(tx, node, stream, oldest, *now).await?;
            next_sequences.push(to_count(stream.next));
        }
        describe(node, hello, *now).run(tx).await?;
        Ok(Outcome::Keep(Attached {
            lease: Lease {
                node,
                session: state.session + 1,
            },
            held: state
                .revision
                .map(|revision| (to_count(revision), state.digest)),
            next_sequence: next_sequences.remove(0),
            earlier_next_sequences: next_sequences,
        }))
    }
}

/// The node's row. Of two replicas that see it for the first time, one waits for the other here.
async fn find_or_insert(tx: &Transaction, hello: &Hello, epoch: i64) -> Result<NodeId, Failure> {
    const FIND: &str = "SELECT id FROM node WHERE cluster = $1 AND name = $2";
    let (cluster, name) = (&hello.cluster, &hello.node.name);
    let known = tx.rows(FIND, &[cluster, name]).await?;
    if let Some(row) = known.first() {
        return Ok(NodeId(row.try_get(0)?));
    }
    tx.execute(
        "INSERT INTO node (cluster, name, arch) VALUES ($1, $2, $3)
         ON CONFLICT (cluster, name) DO NOTHING",
        &[cluster, name, &hello.node.arch.to_string()],
    )
    .await?;
    let node: i64 = tx.row(FIND, &[cluster, name]).await?.try_get(0)?;
    let attached_at = from_time(hello.attached_at);
    let none = Digest::default().to_bytes().to_vec();
    let mut writes = Writes::default();
    writes.add(
        "INSERT INTO node_state (node_id, epoch, digest, session, version, attached_at, last_heard,
           complete_at, facts, emulated_facts, failed_facts)
         VALUES ($1, $2, $3, 0, 0, $4, 0, $4, 0, 0, 0) ON CONFLICT (node_id) DO NOTHING",
        values![node, epoch, none, attached_at],
    );
    writes.add(
        "INSERT INTO epoch (node_id, epoch, attached_at)
         SELECT node_id, epoch, attached_at FROM node_state WHERE node_id = $1 AND session = 0
         ON CONFLICT (node_id, epoch) DO NOTHING",
        values![node],
    );
    writes.run(tx).await?;
    Ok(NodeId(node))
}

/// Notes what the agent says of its node. Most of the time it is what it said before.
fn describe(node: NodeId, hello: &Hello, now: SystemTime) -> Writes {
    let mut writes = Writes::default();
    writes.add(
        "UPDATE node SET arch = $1 WHERE id = $2 AND arch <> $1",
        values![hello.node.arch.to_string(), node.0],
    );
    writes.add(
        "INSERT INTO node_info (node_id, info, preflight) VALUES ($1, $2, $3)
         ON CONFLICT (node_id) DO UPDATE SET info = excluded.info, preflight = excluded.preflight
         WHERE node_info.info <> excluded.info OR node_info.preflight <> excluded.preflight",
        values![
            node.0,
            encode_node(&hello.node),
            encode_preflight(&hello.preflight)
        ],
    );
    writes.add(
        "UPDATE node_state SET session = session + 1, last_heard = GREATEST(last_heard, $1)
         WHERE node_id = $2",
        values![from_time(now), node.0],
    );
    writes
}

/// Makes the epoch of `hello` the node's current one, and tells the gap before it if it is a new one.
async fn change_epoch(
    tx: &Transaction,
    node: NodeId,
    state: &mut State,
    hello: &Hello,
    now: SystemTime,
) -> Result<(), Failure> {
    let (epoch, attached_at) = (from_random(hello.epoch), from_time(hello.attached_at));
    let new = tx
        .execute(
            "INSERT INTO epoch (node_id, epoch, attached_at) VALUES ($1, $2, $3)
             ON CONFLICT (node_id, epoch) DO NOTHING",
            &[&node.0, &epoch, &attached_at],
        )
        .await?
        > 0;
    let (since, is_forgotten) = (state.complete_at, state.is_forgotten);
    // The revision is forgotten: nothing of this epoch is live, so a snapshot has to come.
    *state = State {
        epoch,
        revision: None,
        digest: Digest::default(),
        version: state.version + 1,
        complete_at: if new { attached_at } else { since },
        session: state.session,
        is_forgotten,
    };
    let mut writes = Writes::default();
    writes.add(
        "UPDATE node_state SET epoch = $1, revision = NULL, digest = $2, attached_at = $3,
           version = $4, complete_at = $5
         WHERE node_id = $6",
        values![
            epoch,
            state.digest.to_bytes().to_vec(),
            attached_at,
            state.version,
            state.complete_at,
            node.0,
        ],
    );
    writes.add(
        "UPDATE fact SET processes = 0, live = FALSE, version = $1
         WHERE node_id = $2 AND live = TRUE",
        values![state.version, node.0],
    );
    writes.run(tx).await?;
    // Nobody missed one that was forgotten.
    if !new || is_forgotten {
        return Ok(());
    }
    let loss = ReportedLoss {
        stage: Stage::AgentDown.as_str().to_owned(),
        // What ran while nobody looked cannot be known.
        count: 0,
        since: to_time(since),
        // The node's clock may be behind ours.
        until: to_time(attached_at.max(since)),
        range: None,
    };
    events::append_own(tx, node, state.version, Record::Loss(loss), now).await
}

/// [`crate::store::Store::heartbeats`].
#[derive(Debug)]
pub(super) struct Heartbeats(pub(super) Vec<Beat>);

impl Change for Heartbeats {
    type Answer = ();

    async fn make(&self, tx: &Transaction) -> Result<Outcome<()>, Failure> {
        let nodes: BTreeSet<i64> = self.0.iter().map(|beat| beat.node.0).collect();
        // In one order everywhere, so that replicas do not wait for each other in a circle.
        tx.rows(
            "SELECT node_id FROM node_state WHERE node_id = ANY($1) ORDER BY node_id FOR UPDATE",
            &[&nodes.into_iter().collect::<Vec<_>>()],
        )
        .await?;
        let mut writes = Writes::default();
        self.note_signs_of_life(&mut writes);
        self.note_what_is_complete(&mut writes);
        writes.run(tx).await?;
        Ok(Outcome::Keep(()))
    }
}

impl Heartbeats {
    /// A node and an epoch once each: a statement changes a row once, and does not say by what.
    fn note_signs_of_life(&self, writes: &mut Writes) {
        let mut latest: BTreeMap<(i64, i64), Beat> = BTreeMap::new();
        for beat in &self.0 {
            let told = latest
                .entry((beat.node.0, from_random(beat.epoch)))
                .or_insert_with(|| beat.clone());
            told.at = told.at.max(beat.at);
            told.health = beat.health.clone().or(told.health.take());
            told.preflight = beat.preflight.clone().or(told.preflight.take());
        }
        let beats = || latest.values();
        let nodes: Vec<_> = latest.keys().map(|(node, _)| *node).collect();
        let epochs: Vec<_> = latest.keys().map(|(_, epoch)| *epoch).collect();
        let health = beats().map(|beat| beat.health.as_ref().map(encode_health));
        writes.add(
            "UPDATE node_state AS s SET last_heard = GREATEST(s.last_heard, u.heard),
               health = COALESCE(u.health, s.health)
             FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BYTEA[])
               AS u (node_id, epoch, heard, health)
             WHERE s.node_id = u.node_id AND s.epoch = u.epoch",
            values![
                nodes.clone(),
                epochs.clone(),
                beats().map(|beat| from_time(beat.at)).collect::<Vec<_>>(),
                health.collect::<Vec<_>>(),
            ],
        );
        if beats().any(|beat| beat.preflight.is_some()) {
            let preflight = beats().map(|beat| beat.preflight.as_ref().map(encode_preflight));
            writes.add(
                "UPDATE node_info AS i SET preflight = u.preflight
                 FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BYTEA[])
                     AS u (node_id, epoch, preflight)
                   JOIN node_state s ON s.node_id = u.node_id AND s.epoch = u.epoch
                 WHERE i.node_id = u.node_id AND u.preflight IS NOT NULL",
                values![nodes, epochs, preflight.collect::<Vec<_>>()],
            );
        }
    }

    /// A node is at one epoch and one revision, so one of them at most is about it.
    fn note_what_is_complete(&self, writes: &mut Writes) {
        let mut latest: BTreeMap<(i64, i64, i64), i64> = BTreeMap::new();
        for beat in &self.0 {
            let (epoch, revision) = (from_random(beat.epoch), from_count(beat.revision));
            latest.insert((beat.node.0, epoch, revision), from_time(beat.at));
        }
        writes.add(
            "UPDATE node_state AS s SET complete_at = u.heard
             FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[])
               AS u (node_id, epoch, revision, heard)
             WHERE s.node_id = u.node_id AND s.epoch = u.epoch AND s.revision = u.revision",
            values![
                latest.keys().map(|place| place.0).collect::<Vec<_>>(),
                latest.keys().map(|place| place.1).collect::<Vec<_>>(),
                latest.keys().map(|place| place.2).collect::<Vec<_>>(),
                latest.values().copied().collect::<Vec<_>>(),
            ],
        );
    }
}
