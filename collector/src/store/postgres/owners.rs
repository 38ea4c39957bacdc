//! Whose cgroups are.

use std::collections::{BTreeMap, HashMap};

use archtrace_facts::identity::{self, Identity};
use archtrace_facts::report::Owner;
use archtrace_proto::convert::{decode_identity, encode_identity};
use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;

use super::pool::{Change, Outcome, Transaction};
use super::writes::{Writes, values};
use crate::store::sql::{DAY, Failure};
use crate::store::{NamedPod, NodeId};

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
        let had = decode_identity(row.try_get(2)?)?;
        let identity = identity.clone().after(&had);
        let changed = had != identity;
        if changed {
            owners.changed.push(row.try_get(0)?);
        }
        // It says which nobody needs: once a day is enough, and spares a snapshot that says nothing new one write for
        // each.
        if changed || last_used < now.saturating_sub(DAY) {
            owners.new.insert(cgroup.to_owned(), identity);
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

/// [`crate::store::Store::name_pods`].
#[derive(Debug)]
pub(super) struct Name(pub(super) Vec<NamedPod>);

impl Change for Name {
    type Answer = u64;

    async fn make(&self, tx: &Transaction) -> Result<Outcome<u64>, Failure> {
        let (namespaces, pods): (Vec<_>, Vec<_>) = self
            .0
            .iter()
            .map(|pod| (pod.namespace.clone(), pod.pod.clone()))
            .unzip();
        let found = tx
            .rows(
                "SELECT o.id, o.node_id, o.namespace, o.pod, o.identity
                 FROM unnest($1::TEXT[], $2::TEXT[]) AS q (namespace, pod)
                   JOIN owner o ON o.namespace = q.namespace AND o.pod = q.pod",
                &[&namespaces, &pods],
            )
            .await?;
        let (rows, mut nodes): (Vec<i64>, Vec<i64>) = self
            .renamed(&found)?
            .into_iter()
            .map(|of| (of.row, of.node))
            .unzip();
        if rows.is_empty() {
            return Ok(Outcome::TakeBack(0));
        }
        // In one order everywhere, so that replicas do not wait for each other in a circle.
        nodes.sort_unstable();
        nodes.dedup();
        tx.rows(
            "SELECT node_id FROM node_state WHERE node_id = ANY($1) ORDER BY node_id FOR UPDATE",
            &[&nodes],
        )
        .await?;
        // What an agent told until it was locked counts too.
        let found = tx
            .rows(
                "SELECT id, node_id, namespace, pod, identity FROM owner WHERE id = ANY($1)",
                &[&rows],
            )
            .await?;
        let renamed = self.renamed(&found)?;
        let rows: Vec<i64> = renamed.iter().map(|of| of.row).collect();
        let mut nodes: Vec<i64> = renamed.iter().map(|of| of.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let identities = || renamed.iter().map(|of| &of.identity);
        let mut writes = Writes::default();
        writes.add(
            "UPDATE owner AS o SET workload = u.workload, identity = u.identity
             FROM unnest($1::BIGINT[], $2::TEXT[], $3::BYTEA[]) AS u (id, workload, identity)
             WHERE o.id = u.id",
            values![
                rows.clone(),
                identities()
                    .map(|identity| identity.workload.clone())
                    .collect::<Vec<_>>(),
                identities().map(encode_identity).collect::<Vec<_>>(),
            ],
        );
        writes.add(
            "UPDATE fact AS f SET version = s.version + 1 FROM node_state s
             WHERE s.node_id = f.node_id AND f.owner_id = ANY($1) AND f.live = TRUE",
            values![rows],
        );
        writes.add(
            "UPDATE node_state SET version = version + 1 WHERE node_id = ANY($1)",
            values![nodes],
        );
        writes.run(tx).await?;
        let count = u64::try_from(renamed.len()).unwrap_or(u64::MAX);
        Ok(Outcome::Keep(count))
    }
}

/// An owner with another name than before.
struct Renamed {
    row: i64,
    node: i64,
    identity: Identity,
}

impl Name {
    /// Of rows of `id, node_id, namespace, pod, identity`, those that change.
    fn renamed(&self, rows: &[Row]) -> Result<Vec<Renamed>, Failure> {
        let mut told: HashMap<(&str, &str), Vec<&NamedPod>> = HashMap::new();
        for pod in &self.0 {
            told.entry((&pod.namespace, &pod.pod))
                .or_default()
                .push(pod);
        }
        let mut renamed = BTreeMap::new();
        for row in rows {
            let (namespace, pod): (&str, &str) = (row.try_get(2)?, row.try_get(3)?);
            let had = decode_identity(row.try_get(4)?)?;
            // A pod of a StatefulSet comes again under its name: the UID says which one it is.
            let mut pods = told.get(&(namespace, pod)).into_iter().flatten();
            let identity = pods.find_map(|pod| had.with_workload(&pod.uid, &pod.workload));
            if let Some(identity) = identity {
                let (row, node): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
                renamed.insert(
                    row,
                    Renamed {
                        row,
                        node,
                        identity,
                    },
                );
            }
        }
        Ok(renamed.into_values().collect())
    }
}
