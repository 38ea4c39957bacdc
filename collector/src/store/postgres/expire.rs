//! Deletes what was kept long enough, a chunk at a time. Several replicas may do it at once.

mod cost;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use archtrace_facts::cost::Hour;
use archtrace_facts::digest::Digest;
use archtrace_facts::fact::Mode;
use tokio_postgres::Row;

use super::events::OWN_STREAM;
use super::forget;
use super::pool::{Change, Outcome, Param, Transaction};
use super::writes::{Writes, values};
use crate::store::Keep;
use crate::store::sql::{DAY, Failure, from_random, from_time, to_time};

/// Rows per chunk. Their nodes stay locked for as long, so that writers wait for well below a second.
const CHUNK: i64 = 2000;

/// Nodes per chunk, each with all of its facts.
const NODES: i64 = 100;

/// [`crate::store::Store::expire`]: one chunk of the first thing there is to do; how many rows that were.
#[derive(Debug)]
pub(super) struct Expire {
    pub(super) keep: Keep,
    pub(super) now: SystemTime,
}

impl Change for Expire {
    type Answer = u64;

    async fn make(&self, tx: &Transaction) -> Result<Outcome<u64>, Failure> {
        let before = |kept: Duration| {
            from_time(self.now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH))
        };
        let (events, history) = (before(self.keep.events), before(self.keep.history));
        let (both, now) = (events.min(history), from_time(self.now));
        let mut rows = expire_events(tx, events).await?;
        if rows == 0 {
            rows = end_facts(tx, history).await?;
        }
        if rows == 0 {
            rows = expire_facts(tx, history).await?;
        }
        if rows == 0 {
            rows = expire_streams(tx, events).await?;
        }
        if rows == 0 {
            rows = expire_epochs(tx, both).await?;
        }
        let old = Hour::of(to_time(history));
        if rows == 0 {
            rows = cost::expire_hours(tx, old).await?;
        }
        if rows == 0 {
            rows = cost::expire_days(tx, old).await?;
        }
        if rows == 0 {
            rows = cost::fold(tx, Hour::folded_before(self.now)).await?;
        }
        if rows == 0 {
            rows = expire_owners(tx, both, now).await?;
        }
        if rows == 0 {
            rows = expire_images(tx, both, now).await?;
        }
        if rows == 0 {
            rows = expire_standings(tx, history).await?;
        }
        if rows == 0 {
            // CPU time of emulation goes a whole day at a time.
            rows = forget::remove(tx, both.saturating_sub(DAY), NODES).await?;
        }
        Ok(Outcome::Keep(rows as u64))
    }
}

/// Finds rows by `text`, whose first column is their node, and locks their nodes. What changed until they were
/// locked is for the statements that follow to find out.
pub(super) async fn find(
    tx: &Transaction,
    text: &'static str,
    values: &[Param<'_>],
) -> Result<Vec<Row>, Failure> {
    let rows = tx.rows(text, values).await?;
    let nodes = rows.iter().map(|row| row.try_get(0));
    let nodes: BTreeSet<i64> = nodes.collect::<Result<_, _>>()?;
    if !nodes.is_empty() {
        tx.rows(
            "SELECT node_id FROM node_state WHERE node_id = ANY($1) ORDER BY node_id FOR UPDATE",
            &[&nodes.into_iter().collect::<Vec<_>>()],
        )
        .await?;
    }
    Ok(rows)
}

/// One column of rows.
pub(super) fn column(rows: &[Row], at: usize) -> Result<Vec<i64>, Failure> {
    let column = rows.iter().map(|row| row.try_get(at));
    Ok(column.collect::<Result<_, _>>()?)
}

async fn expire_events(tx: &Transaction, before: i64) -> Result<usize, Failure> {
    let found = find(
        tx,
        "SELECT node_id, stream_id, sequence FROM event WHERE \"time\" < $1 ORDER BY \"time\" LIMIT $2",
        &[&before, &CHUNK],
    )
    .await?;
    if found.is_empty() {
        return Ok(0);
    }
    let deleted = tx
        .rows(
            "DELETE FROM event AS e USING unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[])
               AS u (node_id, stream_id, sequence)
             WHERE e.node_id = u.node_id AND e.stream_id = u.stream_id AND e.sequence = u.sequence
             RETURNING e.node_id, e.stream_id, e.kind <> 'loss'",
            &[
                &column(&found, 0)?,
                &column(&found, 1)?,
                &column(&found, 2)?,
            ],
        )
        .await?;
    let mut events: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for row in &deleted {
        let counts: bool = row.try_get(2)?;
        *events
            .entry((row.try_get(0)?, row.try_get(1)?))
            .or_default() += i64::from(counts);
    }
    tx.execute(
        "UPDATE stream AS s SET events = GREATEST(s.events - u.events, 0)
         FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS u (node_id, stream_id, events)
         WHERE s.node_id = u.node_id AND s.stream_id = u.stream_id",
        &[
            &events.keys().map(|(node, _)| *node).collect::<Vec<_>>(),
            &events.keys().map(|(_, stream)| *stream).collect::<Vec<_>>(),
            &events.values().copied().collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(found.len())
}

/// A node that is silent for so long is taken to be gone, and its facts with it. Should its agent be
/// there after all, it tells them again.
async fn end_facts(tx: &Transaction, before: i64) -> Result<usize, Failure> {
    let found = find(
        tx,
        "SELECT node_id FROM node_state s WHERE last_heard < $1
           AND EXISTS (SELECT 1 FROM fact f WHERE f.node_id = s.node_id AND f.live = TRUE)
         LIMIT $2",
        &[&before, &NODES],
    )
    .await?;
    if found.is_empty() {
        return Ok(0);
    }
    let ended = tx
        .rows(
            "UPDATE node_state SET revision = NULL, digest = $1, version = version + 1
             WHERE node_id = ANY($2) AND last_heard < $3 RETURNING node_id, version",
            &[
                &&Digest::default().to_bytes()[..],
                &column(&found, 0)?,
                &before,
            ],
        )
        .await?;
    tx.execute(
        "UPDATE fact AS f SET processes = 0, live = FALSE, version = u.version
         FROM unnest($1::BIGINT[], $2::BIGINT[]) AS u (node_id, version)
         WHERE f.node_id = u.node_id AND f.live = TRUE",
        &[&column(&ended, 0)?, &column(&ended, 1)?],
    )
    .await?;
    Ok(found.len())
}

async fn expire_facts(tx: &Transaction, before: i64) -> Result<usize, Failure> {
    let found = find(
        tx,
        "SELECT node_id, id FROM fact WHERE live = FALSE AND last_seen < $1 ORDER BY last_seen LIMIT $2",
        &[&before, &CHUNK],
    )
    .await?;
    if found.is_empty() {
        return Ok(0);
    }
    let deleted = tx
        .rows(
            "DELETE FROM fact WHERE id = ANY($1) AND live = FALSE AND last_seen < $2
             RETURNING node_id, id, mode",
            &[&column(&found, 1)?, &before],
        )
        .await?;
    let mut nodes: BTreeMap<i64, [i64; 3]> = BTreeMap::new();
    for row in &deleted {
        let mode: &str = row.try_get(2)?;
        let [all, emulated, failed] = nodes.entry(row.try_get(0)?).or_default();
        *all += 1;
        *emulated += i64::from(mode == Mode::Emulated.as_str());
        *failed += i64::from(mode == Mode::Failed.as_str());
    }
    let sums = |at: usize| nodes.values().map(|sums| sums[at]).collect::<Vec<_>>();
    let mut writes = Writes::default();
    writes.add(
        "DELETE FROM fact_epoch WHERE fact_id = ANY($1)",
        values![column(&deleted, 1)?],
    );
    writes.add(
        "UPDATE node_state AS s SET facts = s.facts - u.facts,
           emulated_facts = s.emulated_facts - u.emulated, failed_facts = s.failed_facts - u.failed
         FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[])
           AS u (node_id, facts, emulated, failed)
         WHERE s.node_id = u.node_id",
        values![
            nodes.keys().copied().collect::<Vec<_>>(),
            sums(0),
            sums(1),
            sums(2),
        ],
    );
    writes.run(tx).await?;
    Ok(found.len())
}

/// Streams that are over and of which nothing is left. What is still to be explained of one stays, and
/// so does the one that the node told of last, for more may come.
async fn expire_streams(tx: &Transaction, before: i64) -> Result<usize, Failure> {
    let own = from_random(OWN_STREAM);
    let found = find(
        tx,
        "SELECT s.node_id, s.stream_id FROM stream s
         WHERE s.last_used < $1 AND s.stream_id <> $2 AND s.missing <= s.explained
           AND s.last_used < (SELECT MAX(t.last_used) FROM stream t
                              WHERE t.node_id = s.node_id AND t.stream_id <> $2)
           AND NOT EXISTS (SELECT 1 FROM event e
                           WHERE e.node_id = s.node_id AND e.stream_id = s.stream_id)
         LIMIT $3",
        &[&before, &own, &CHUNK],
    )
    .await?;
    if found.is_empty() {
        return Ok(0);
    }
    tx.execute(
        "DELETE FROM stream AS s USING unnest($1::BIGINT[], $2::BIGINT[]) AS u (node_id, stream_id)
         WHERE s.node_id = u.node_id AND s.stream_id = u.stream_id
           AND s.last_used < $3 AND s.missing <= s.explained",
        &[&column(&found, 0)?, &column(&found, 1)?, &before],
    )
    .await?;
    Ok(found.len())
}

/// Epochs that will not come back any more.
async fn expire_epochs(tx: &Transaction, before: i64) -> Result<usize, Failure> {
    let found = find(
        tx,
        "SELECT e.node_id, e.epoch FROM epoch e JOIN node_state s ON s.node_id = e.node_id
         WHERE e.attached_at < $1 AND e.epoch <> s.epoch LIMIT $2",
        &[&before, &NODES],
    )
    .await?;
    if found.is_empty() {
        return Ok(0);
    }
    let (nodes, epochs) = (column(&found, 0)?, column(&found, 1)?);
    let deleted = tx
        .rows(
            "DELETE FROM epoch AS e USING unnest($1::BIGINT[], $2::BIGINT[]) AS u (node_id, epoch)
             WHERE e.node_id = u.node_id AND e.epoch = u.epoch
               AND NOT EXISTS (SELECT 1 FROM node_state s
                               WHERE s.node_id = e.node_id AND s.epoch = e.epoch)
             RETURNING e.node_id, e.epoch",
            &[&nodes, &epochs],
        )
        .await?;
    tx.execute(
        "DELETE FROM fact_epoch AS p USING unnest($1::BIGINT[], $2::BIGINT[]) AS u (node_id, epoch), fact f
         WHERE f.node_id = u.node_id AND p.fact_id = f.id AND p.epoch = u.epoch",
        &[&column(&deleted, 0)?, &column(&deleted, 1)?],
    )
    .await?;
    Ok(found.len())
}

/// Owners of cgroups that nothing names any more. Those that are needed are not looked at again until
/// that much time has passed once more.
async fn expire_owners(tx: &Transaction, before: i64, now: i64) -> Result<usize, Failure> {
    let found = find(
        tx,
        "SELECT node_id, id FROM owner WHERE last_used < $1 ORDER BY last_used LIMIT $2",
        &[&before, &CHUNK],
    )
    .await?;
    if found.is_empty() {
        return Ok(0);
    }
    let owners = column(&found, 1)?;
    tx.execute(
        "DELETE FROM owner AS o WHERE o.id = ANY($1) AND o.last_used < $2
           AND NOT EXISTS (SELECT 1 FROM fact f WHERE f.owner_id = o.id)
           AND NOT EXISTS (SELECT 1 FROM event e WHERE e.owner_id = o.id)
           AND NOT EXISTS (SELECT 1 FROM emulated_cpu c WHERE c.owner_id = o.id)",
        &[&owners, &before],
    )
    .await?;
    tx.execute(
        "UPDATE owner SET last_used = $1 WHERE id = ANY($2) AND last_used < $1",
        &[&now, &owners],
    )
    .await?;
    Ok(found.len())
}

/// Images that no container of a node has, as far as owners tell, and that nobody told of for long.
async fn expire_images(tx: &Transaction, before: i64, now: i64) -> Result<usize, Failure> {
    let found = find(
        tx,
        "SELECT node_id, image_id FROM node_image WHERE last_used < $1 ORDER BY last_used LIMIT $2",
        &[&before, &CHUNK],
    )
    .await?;
    if found.is_empty() {
        return Ok(0);
    }
    let (nodes, images) = (column(&found, 0)?, column(&found, 1)?);
    tx.execute(
        "DELETE FROM node_image AS t USING unnest($1::BIGINT[], $2::BIGINT[]) AS u (node_id, image_id), image i
         WHERE t.node_id = u.node_id AND t.image_id = u.image_id AND i.id = t.image_id
           AND t.last_used < $3
           AND NOT EXISTS (SELECT 1 FROM owner o WHERE o.node_id = t.node_id AND o.image_id = i.digest)",
        &[&nodes, &images, &before],
    )
    .await?;
    tx.execute(
        "UPDATE node_image AS t SET last_used = $1
         FROM unnest($2::BIGINT[], $3::BIGINT[]) AS u (node_id, image_id)
         WHERE t.node_id = u.node_id AND t.image_id = u.image_id AND t.last_used < $1",
        &[&now, &nodes, &images],
    )
    .await?;
    // An agent that tells of one of them again at this moment makes this fail, and is told again itself:
    // whichever comes second is made again.
    tx.execute(
        "DELETE FROM image AS i WHERE i.id = ANY($1)
           AND NOT EXISTS (SELECT 1 FROM node_image t WHERE t.image_id = i.id)",
        &[&images],
    )
    .await?;
    Ok(found.len())
}

/// How it was with mandated agents.
async fn expire_standings(tx: &Transaction, before: i64) -> Result<usize, Failure> {
    let deleted = tx
        .execute(
            "DELETE FROM past_standing WHERE (agent, cluster, node, since) IN
               (SELECT agent, cluster, node, since FROM past_standing WHERE until < $1
                ORDER BY until LIMIT $2)",
            &[&before, &CHUNK],
        )
        .await?;
    Ok(usize::try_from(deleted)?)
}
