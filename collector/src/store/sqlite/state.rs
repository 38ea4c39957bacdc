//! Facts: what agents say is true now, and what was true.

mod row;

use std::collections::HashMap;
use std::time::SystemTime;

use archtrace_facts::digest::Digest;
use archtrace_facts::fact::{Fact, FactId};
use rusqlite::Connection;

use super::nodes::{self, Change, State};
use super::owners;
use super::values::{from_count, from_random, to_count};
use super::writer::{Failure, Outcome};
use crate::store::{Applied, Delta, Lease, Snapshot};
use row::Stored;

pub(super) fn apply_snapshot(
    db: &Connection,
    lease: Lease,
    snapshot: &Snapshot,
    now: SystemTime,
) -> Result<Applied, Failure> {
    let state = nodes::state(db, lease.node)?;
    if let Some(refused) = refusal(&state, lease, snapshot.epoch) {
        return Ok(refused);
    }
    // Of a fact that is told twice, the last one holds.
    let facts: HashMap<_, _> = snapshot.facts.iter().map(|f| (f.key.id(), f)).collect();
    let digest = facts.iter().map(|(id, fact)| row::digest(*id, fact)).sum();
    if snapshot.digest.is_some_and(|told| told != digest) {
        return Ok(Applied::OtherDigest(digest));
    }
    let mut update = Change::of(db, lease.node, &state);
    let owners = owners::take(&mut update, &snapshot.owners, now)?;
    let mut live = row::live(db, lease.node)?;
    for fact in &snapshot.facts {
        let id = fact.key.id();
        let stored = match live.remove(&id) {
            Some(live) => Some(live),
            None => row::find(db, lease.node, id)?,
        };
        upsert(&mut update, &owners, stored, id, fact, now)?;
    }
    for (id, stored) in live {
        row::retire(&mut update, id, &stored)?;
    }
    if state.revision.is_none() {
        row::forget_left_out(&update)?;
    }
    owners::take_images(db, lease.node, &snapshot.images, now)?;
    // Whatever it was before: a snapshot sets right what went wrong.
    update.digest = digest;
    advance(update, snapshot.revision, now).map(Applied::Yes)
}

pub(super) fn apply_delta(
    db: &Connection,
    lease: Lease,
    delta: &Delta,
    now: SystemTime,
) -> Result<Outcome<Applied>, Failure> {
    let state = nodes::state(db, lease.node)?;
    if let Some(refused) = refusal(&state, lease, delta.epoch) {
        return Ok(Outcome::Keep(refused));
    }
    let revision = state.revision.map(to_count);
    if revision != Some(delta.base_revision) {
        return Ok(Outcome::Keep(Applied::OtherRevision(revision)));
    }
    let mut update = Change::of(db, lease.node, &state);
    let owners = owners::take(&mut update, &delta.owners, now)?;
    for fact in &delta.upserts {
        let id = fact.key.id();
        let stored = row::find(db, lease.node, id)?;
        upsert(&mut update, &owners, stored, id, fact, now)?;
    }
    for id in &delta.removed {
        if let Some(stored) = row::find(db, lease.node, *id)?.filter(|stored| stored.live) {
            row::retire(&mut update, *id, &stored)?;
        }
    }
    owners::take_images(db, lease.node, &delta.images, now)?;
    let digest = advance(update, delta.revision, now)?;
    Ok(match delta.digest {
        Some(told) if told != digest => Outcome::TakeBack(Applied::OtherDigest(digest)),
        _ => Outcome::Keep(Applied::Yes(digest)),
    })
}

/// Why an update does not apply, whatever is in it.
fn refusal(state: &State, lease: Lease, epoch: u64) -> Option<Applied> {
    if state.session != lease.session {
        return Some(Applied::Superseded);
    }
    (state.epoch != from_random(epoch)).then_some(Applied::OtherEpoch)
}

/// Takes over a fact as the agent tells it.
fn upsert(
    update: &mut Change<'_>,
    owners: &owners::Rows<'_>,
    stored: Option<Stored>,
    id: FactId,
    fact: &Fact,
    now: SystemTime,
) -> Result<(), Failure> {
    match stored {
        Some(stored) => row::update(update, id, &stored, fact),
        None => {
            let cgroup = fact.key.cgroup.as_str();
            let owner = match owners.get(cgroup) {
                Some(row) => *row,
                None => owners::of_cgroup(update.db, update.node, cgroup, now)?,
            };
            row::insert(update, id, owner, fact)
        }
    }
}

/// The last step of every update: from here on the store holds all that the agent had to tell.
fn advance(update: Change<'_>, revision: u64, now: SystemTime) -> Result<Digest, Failure> {
    let digest = update.digest;
    update.finish(Some(from_count(revision)), now)?;
    Ok(digest)
}
