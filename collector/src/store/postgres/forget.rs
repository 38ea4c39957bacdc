//! Nodes that are gone for good: first from what is asked, and with the last that is known of them altogether.
//! Several replicas may find the same ones; who locks them first deals with them.

use std::time::SystemTime;

use archtrace_facts::digest::Digest;

use super::expire::{column, find};
use super::pool::{Change, Outcome, Transaction};
use super::writes::{Writes, values};
use crate::store::NodeId;
use crate::store::sql::{Failure, from_time};

/// [`crate::store::Store::forget`].
#[derive(Debug)]
pub(super) struct Forget {
    pub(super) nodes: Vec<NodeId>,
    pub(super) silent_since: SystemTime,
}

impl Change for Forget {
    type Answer = u64;

    async fn make(&self, tx: &Transaction) -> Result<Outcome<u64>, Failure> {
        let nodes: Vec<i64> = self.nodes.iter().map(|node| node.0).collect();
        // In one order everywhere. What was heard of while this waited is left out.
        let locked = tx
            .rows(
                "SELECT node_id FROM node_state
                 WHERE node_id = ANY($1) AND last_heard < $2 AND session <> forgotten_session
                 ORDER BY node_id FOR UPDATE",
                &[&nodes, &from_time(self.silent_since)],
            )
            .await?;
        let nodes = column(&locked, 0)?;
        if nodes.is_empty() {
            return Ok(Outcome::Keep(0));
        }
        let mut writes = Writes::default();
        // Whoever still has a lease has none any more: an agent that is there after all comes again.
        writes.add(
            "UPDATE node_state SET session = session + 1, forgotten_session = session + 1,
               version = version + 1, began = version + 1, revision = NULL, digest = $1, health = NULL
             WHERE node_id = ANY($2)",
            values![Digest::default().to_bytes().to_vec(), nodes.clone()],
        );
        writes.add(
            "UPDATE fact AS f SET processes = 0, live = FALSE, version = s.version
             FROM node_state s
             WHERE s.node_id = ANY($1) AND f.node_id = s.node_id AND f.live = TRUE",
            values![nodes.clone()],
        );
        let none: &[u8] = &[];
        writes.add(
            "UPDATE node_info SET info = $1, preflight = $1 WHERE node_id = ANY($2)",
            values![none, nodes.clone()],
        );
        writes.run(tx).await?;
        let images = tx
            .rows(
                "DELETE FROM node_image WHERE node_id = ANY($1) RETURNING image_id",
                &[&nodes],
            )
            .await?;
        // An agent that tells of one of them at this moment makes this fail, and it is made again.
        tx.execute(
            "DELETE FROM image AS i WHERE i.id = ANY($1)
               AND NOT EXISTS (SELECT 1 FROM node_image t WHERE t.image_id = i.id)",
            &[&column(&images, 0)?],
        )
        .await?;
        Ok(Outcome::Keep(locked.len() as u64))
    }
}

/// Removes forgotten nodes that were heard last before this and of which no facts, events and owners are left, at
/// most so many, and returns how many these were. What else they have is older. Sums over all time stay.
pub(super) async fn remove(tx: &Transaction, before: i64, nodes: i64) -> Result<usize, Failure> {
    let found = find(
        tx,
        "SELECT node_id FROM node_state s WHERE session = forgotten_session AND last_heard < $1
           AND NOT EXISTS (SELECT 1 FROM fact f WHERE f.node_id = s.node_id)
           AND NOT EXISTS (SELECT 1 FROM event e WHERE e.node_id = s.node_id)
           AND NOT EXISTS (SELECT 1 FROM owner o WHERE o.node_id = s.node_id)
         LIMIT $2",
        &[&before, &nodes],
    )
    .await?;
    if found.is_empty() {
        return Ok(0);
    }
    // Those that another replica has not removed meanwhile, and that did not come back.
    let left = tx
        .rows(
            "DELETE FROM node_state WHERE node_id = ANY($1) AND session = forgotten_session
             RETURNING node_id",
            &[&column(&found, 0)?],
        )
        .await?;
    let left = column(&left, 0)?;
    let mut writes = Writes::default();
    writes.add(
        "INSERT INTO forgotten AS k (kind, stage, count, records)
         SELECT kind, stage, CAST(LEAST(SUM(count), 9223372036854775807) AS BIGINT),
           CAST(LEAST(SUM(records), 9223372036854775807) AS BIGINT)
         FROM (SELECT 'loss' AS kind, stage, count, records FROM loss_total WHERE node_id = ANY($1)
               UNION ALL SELECT 'gap', '', missing - explained, 1 FROM stream
               WHERE node_id = ANY($1) AND missing > explained) AS sums
         GROUP BY kind, stage ORDER BY kind, stage
         ON CONFLICT (kind, stage) DO UPDATE SET
           count = k.count + LEAST(excluded.count, 9223372036854775807 - k.count),
           records = k.records + LEAST(excluded.records, 9223372036854775807 - k.records)",
        values![left.clone()],
    );
    for table in [
        "DELETE FROM epoch WHERE node_id = ANY($1)",
        "DELETE FROM stream WHERE node_id = ANY($1)",
        "DELETE FROM loss_total WHERE node_id = ANY($1)",
        "DELETE FROM node_machine WHERE node_id = ANY($1)",
        "DELETE FROM node_info WHERE node_id = ANY($1)",
        "DELETE FROM node WHERE id = ANY($1)",
    ] {
        writes.add(table, values![left.clone()]);
    }
    writes.run(tx).await?;
    Ok(found.len())
}
