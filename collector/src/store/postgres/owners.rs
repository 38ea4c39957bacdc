//! Whose cgroups are.

use std::collections::{BTreeMap, HashMap};

use archtrace_facts::identity::{self, Identity};
use archtrace_facts::report::Owner;
use archtrace_proto::convert::{decode_identity, encode_identity};
use sha2::{Digest as _, Sha256};

use super::pool::Transaction;
use super::writes::{Writes, values};
use crate::store::NodeId;
use crate::store::sql::Failure;

/// A short name of a cgroup, for an index.
pub(super) fn cgroup_id(cgroup: &str) -> Vec<u8> {
    Sha256::digest(cgroup)[..16].to_vec()
}

/// What was found out of owners, and is to be written.
#[derive(Debug, Default)]
pub(super) struct Owners {
    new: BTreeMap<String, Identity>,
    /// Rows whose facts change with them.
    pub(super) changed: Vec<i64>,
}

/// An owner's `last_used` says which nobody needs: once a day is enough, and spares a snapshot that says
/// nothing new one write for each.
const DAY: i64 = 24 * 3600 * 1_000_000_000;

/// Compares what is told, and which cgroups are named, with what is stored.
pub(super) async fn look<'a>(
    tx: &Transaction,
    node: NodeId,
    told: &[Owner],
    named: impl Iterator<Item = &'a str>,
    now: i64,
) -> Result<Owners, Failure> {
    // The last one told of a cgroup holds.
    let mut wanted: HashMap<&str, Option<&Identity>> = named.map(|cgroup| (cgroup, None)).collect();
    wanted.extend(
        told.iter()
            .map(|owner| (owner.cgroup.as_str(), Some(&owner.identity))),
    );
    let mut owners = Owners::default();
    if wanted.is_empty() {
        return Ok(owners);
    }
    let ids: Vec<_> = wanted.keys().map(|cgroup| cgroup_id(cgroup)).collect();
    let rows = tx
        .rows(
            "SELECT id, cgroup, identity, last_used FROM owner
             WHERE node_id = $1 AND cgroup_id = ANY($2)",
            &[&node.0, &ids],
        )
        .await?;
    for row in &rows {
        let Some(Some(identity)) = wanted.remove(row.try_get::<_, &str>(1)?) else {
            continue;
        };
        let (cgroup, last_used): (&str, i64) = (row.try_get(1)?, row.try_get(3)?);
        let changed = decode_identity(row.try_get(2)?)? != *identity;
        if changed {
            owners.changed.push(row.try_get(0)?);
        }
        if changed || last_used < now.saturating_sub(DAY) {
            owners.new.insert(cgroup.to_owned(), identity.clone());
        }
    }
    for (cgroup, told) in wanted {
        // Until an agent says more, the path says whose it is.
        let identity = told.map_or_else(|| identity::of_cgroup(cgroup), Clone::clone);
        owners.new.insert(cgroup.to_owned(), identity);
    }
    Ok(owners)
}

impl Owners {
    /// Writes them; facts and events that name new ones come behind.
    pub(super) fn write(self, writes: &mut Writes, node: NodeId, now: i64) {
        if self.new.is_empty() {
            return;
        }
        let texts = |text: fn(&Identity) -> &String| {
            self.new
                .values()
                .map(|identity| text(identity).clone())
                .collect::<Vec<_>>()
        };
        writes.add(
            "INSERT INTO owner (node_id, last_used, cgroup, cgroup_id, identity, namespace, pod, container,
               workload, image, image_id, unit)
             SELECT $1, $2, u.cgroup, u.cgroup_id, u.identity, u.namespace, u.pod, u.container, u.workload,
               u.image, u.image_id, u.unit
             FROM unnest($3::TEXT[], $4::BYTEA[], $5::BYTEA[], $6::TEXT[], $7::TEXT[], $8::TEXT[],
                 $9::TEXT[], $10::TEXT[], $11::TEXT[], $12::TEXT[])
               AS u (cgroup, cgroup_id, identity, namespace, pod, container, workload, image, image_id, unit)
             ON CONFLICT (node_id, cgroup_id) DO UPDATE SET identity = excluded.identity,
               namespace = excluded.namespace, pod = excluded.pod, container = excluded.container,
               workload = excluded.workload, image = excluded.image, image_id = excluded.image_id,
               unit = excluded.unit, last_used = GREATEST(owner.last_used, excluded.last_used)",
            values![
                node.0,
                now,
                self.new.keys().cloned().collect::<Vec<_>>(),
                self.new.keys().map(|cgroup| cgroup_id(cgroup)).collect::<Vec<_>>(),
                self.new.values().map(encode_identity).collect::<Vec<_>>(),
                texts(|identity| &identity.namespace),
                texts(|identity| &identity.pod),
                texts(|identity| &identity.container),
                texts(|identity| &identity.workload),
                texts(|identity| &identity.image),
                texts(|identity| &identity.image_id),
                texts(|identity| &identity.unit),
            ],
        );
    }
}
