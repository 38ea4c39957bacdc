//! Updates of a node's facts: read what is stored, decide, write, each in one or two round trips.

use std::time::SystemTime;

use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Fact, FactId};
use archtrace_facts::image::Image;
use archtrace_facts::report::Owner;

use super::facts::{Rows, Stored, forget_left_out, read_stored};
use super::nodes::{self, State};
use super::pool::{Change, Outcome, Transaction};
use super::writes::{Writes, values};
use super::{cost, images, owners};
use crate::store::sql::{Failure, from_count, from_random, from_time, to_count};
use crate::store::{Applied, Delta, Lease, NodeId, Snapshot};

/// A snapshot or a delta.
#[derive(Debug)]
pub(super) struct Update {
    lease: Lease,
    epoch: u64,
    /// The revision that a delta starts from; a snapshot starts from none.
    base: Option<u64>,
    revision: u64,
    upserts: Vec<Fact>,
    removed: Vec<FactId>,
    owners: Vec<Owner>,
    images: Vec<Image>,
    digest: Option<Digest>,
    now: SystemTime,
}

impl Update {
    pub(super) fn of_snapshot(lease: Lease, snapshot: Snapshot, now: SystemTime) -> Self {
        let Snapshot {
            epoch,
            revision,
            facts,
            owners,
            images,
            digest,
        } = snapshot;
        Self {
            lease,
            epoch,
            base: None,
            revision,
            upserts: facts,
            removed: Vec::new(),
            owners,
            images,
            digest,
            now,
        }
    }

    pub(super) fn of_delta(lease: Lease, delta: Delta, now: SystemTime) -> Self {
        let Delta {
            epoch,
            base_revision,
            revision,
            upserts,
            removed,
            owners,
            images,
            digest,
        } = delta;
        Self {
            lease,
            epoch,
            base: Some(base_revision),
            revision,
            upserts,
            removed,
            owners,
            images,
            digest,
            now,
        }
    }

    /// Why it does not apply, whatever is in it.
    fn refusal(&self, state: &State) -> Option<Applied> {
        if state.session != self.lease.session {
            return Some(Applied::Superseded);
        }
        if state.epoch != from_random(self.epoch) {
            return Some(Applied::OtherEpoch);
        }
        let revision = state.revision.map(to_count);
        let base = self.base?;
        (revision != Some(base)).then_some(Applied::OtherRevision(revision))
    }

    /// What is stored of the facts that it names, and for a snapshot of those that it leaves out.
    async fn stored(&self, tx: &Transaction) -> Result<Vec<(FactId, Stored)>, Failure> {
        let ids = self.upserts.iter().map(|fact| fact.key.id());
        let ids = ids.chain(self.removed.iter().copied());
        let ids: Vec<_> = ids.map(|id| id.0.to_vec()).collect();
        let text = if self.base.is_none() {
            "SELECT key_id, id, live, processes, first_seen, last_seen, epoch, agent_count, agent_cpu_ns,
               count, cpu_ns
             FROM fact WHERE node_id = $1 AND (live = TRUE OR key_id = ANY($2))"
        } else {
            "SELECT key_id, id, live, processes, first_seen, last_seen, epoch, agent_count, agent_cpu_ns,
               count, cpu_ns
             FROM fact WHERE node_id = $1 AND key_id = ANY($2)"
        };
        let rows = tx.rows(text, &[&self.lease.node.0, &ids]).await?;
        rows.iter().map(read_stored).collect()
    }
}

impl Change for Update {
    type Answer = Applied;

    async fn make(&self, tx: &Transaction) -> Result<Outcome<Applied>, Failure> {
        let NodeId(node) = self.lease.node;
        let state = nodes::lock(tx, self.lease.node).await?;
        if let Some(refused) = self.refusal(&state) {
            return Ok(Outcome::TakeBack(refused));
        }
        let now = from_time(self.now);
        let named = self.upserts.iter().map(|fact| fact.key.cgroup.as_str());
        let (stored, owners) = tokio::try_join!(
            self.stored(tx),
            owners::look(tx, self.lease.node, &self.owners, named, now),
        )?;
        let mut rows = Rows::new(state.epoch, stored);
        rows.find_earlier(tx).await?;
        for fact in &self.upserts {
            rows.upsert(fact);
        }
        for id in &self.removed {
            rows.retire(*id);
        }
        if self.base.is_none() {
            rows.retire_others();
        }
        let decided = rows.decide(self.base.map(|_| state.digest));
        if self.digest.is_some_and(|told| told != decided.digest) {
            return Ok(Outcome::TakeBack(Applied::OtherDigest(decided.digest)));
        }
        let seen = decided.changes_something() || !owners.changed.is_empty();
        let version = state.version + i64::from(seen);
        let (digest, facts) = (decided.digest, decided.more);
        let mut writes = Writes::default();
        let changed = owners.changed.clone();
        owners.write(&mut writes, self.lease.node, now);
        cost::add(
            &mut writes,
            self.lease.node,
            &decided.burnt,
            state.complete_at,
            self.now,
        );
        decided.write(&mut writes, node, state.epoch, version);
        if self.base.is_none() && state.revision.is_none() {
            forget_left_out(&mut writes, node, state.epoch);
        }
        if !changed.is_empty() {
            writes.add(
                "UPDATE fact SET version = $1 WHERE owner_id = ANY($2) AND live = TRUE",
                values![version, changed],
            );
        }
        // From here on the store holds all that the agent had to tell.
        writes.add(
            "UPDATE node_state SET version = $1, digest = $2, facts = facts + $3,
               emulated_facts = emulated_facts + $4, failed_facts = failed_facts + $5, revision = $6,
               last_heard = GREATEST(last_heard, $7), complete_at = $7
             WHERE node_id = $8",
            values![
                version,
                digest.to_bytes().to_vec(),
                facts.all,
                facts.emulated,
                facts.failed,
                from_count(self.revision),
                now,
                node,
            ],
        );
        writes.run(tx).await?;
        images::take(tx, self.lease.node, &self.images, now).await?;
        Ok(Outcome::Keep(Applied::Yes(digest)))
    }
}
