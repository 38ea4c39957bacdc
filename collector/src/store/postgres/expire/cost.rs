//! CPU time of emulation: hours become days, and days go.

use std::collections::BTreeMap;

use archtrace_facts::cost::Hour;
use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;

use super::super::pool::Transaction;
use super::super::writes::{Writes, values};
use super::{CHUNK, column, find};
use crate::store::sql::{Failure, workload};

/// Finds hours before this one, and locks their nodes.
async fn find_hours(tx: &Transaction, before: Hour) -> Result<Vec<Row>, Failure> {
    find(
        tx,
        "SELECT node_id, owner_id, hour FROM emulated_cpu WHERE hour < $1
         ORDER BY hour, owner_id LIMIT $2",
        &[&before.0, &CHUNK],
    )
    .await
}

/// Owners and hours.
fn columns(found: &[Row]) -> Result<[Vec<i64>; 2], Failure> {
    Ok([column(found, 1)?, column(found, 2)?])
}

/// A short name of names, for an index.
fn names_id(namespace: &str, workload: &str) -> Vec<u8> {
    let names = Sha256::new()
        .chain_update(namespace)
        // No name holds it.
        .chain_update([0])
        .chain_update(workload);
    names.finalize()[..16].to_vec()
}

/// Makes days of hours before this one. What two replicas find, one of them deletes: only that one adds it
/// to the day.
pub(super) async fn fold(tx: &Transaction, before: Hour) -> Result<usize, Failure> {
    const TAKE: &str = concat!(
        "DELETE FROM emulated_cpu AS h
         USING unnest($1::BIGINT[], $2::BIGINT[]) AS u (owner_id, hour), owner o
         WHERE h.owner_id = u.owner_id AND h.hour = u.hour AND o.id = h.owner_id
         RETURNING h.hour, h.node_id, o.namespace, ",
        workload!(),
        ", h.cpu_ns"
    );
    let found = find_hours(tx, before).await?;
    if found.is_empty() {
        return Ok(0);
    }
    let columns = columns(&found)?;
    let hours = tx.rows(TAKE, &[&columns[0], &columns[1]]).await?;
    let mut days: BTreeMap<(i64, i64, String, String), i64> = BTreeMap::new();
    for row in &hours {
        let hour = Hour(row.try_get(0)?);
        let place = (
            hour.day(),
            row.try_get(1)?,
            row.try_get(2)?,
            row.try_get(3)?,
        );
        let sum = days.entry(place).or_default();
        *sum = sum.saturating_add(row.try_get(4)?);
    }
    let days = || days.iter();
    let mut writes = Writes::default();
    writes.add(
        "INSERT INTO emulated_cpu_day AS c (day, node_id, names_id, namespace, workload, cpu_ns)
         SELECT u.day, u.node_id, u.names_id, u.namespace, u.workload, u.cpu_ns
         FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BYTEA[], $4::TEXT[], $5::TEXT[], $6::BIGINT[])
           AS u (day, node_id, names_id, namespace, workload, cpu_ns)
         ON CONFLICT (day, node_id, names_id) DO UPDATE SET cpu_ns = CAST(LEAST(GREATEST(
           CAST(c.cpu_ns AS NUMERIC) + excluded.cpu_ns, -9223372036854775807), 9223372036854775807)
           AS BIGINT)",
        values![
            days().map(|((day, ..), _)| *day).collect::<Vec<_>>(),
            days().map(|((_, node, ..), _)| *node).collect::<Vec<_>>(),
            days()
                .map(|((.., namespace, workload), _)| names_id(namespace, workload))
                .collect::<Vec<_>>(),
            days()
                .map(|((.., namespace, _), _)| namespace.clone())
                .collect::<Vec<_>>(),
            days()
                .map(|((.., workload), _)| workload.clone())
                .collect::<Vec<_>>(),
            days().map(|(_, cpu_ns)| *cpu_ns).collect::<Vec<_>>(),
        ],
    );
    writes.run(tx).await?;
    Ok(found.len())
}

/// Deletes hours before this one.
pub(super) async fn expire_hours(tx: &Transaction, before: Hour) -> Result<usize, Failure> {
    let found = find_hours(tx, before).await?;
    if found.is_empty() {
        return Ok(0);
    }
    let columns = columns(&found)?;
    tx.execute(
        "DELETE FROM emulated_cpu AS h
         USING unnest($1::BIGINT[], $2::BIGINT[]) AS u (owner_id, hour)
         WHERE h.owner_id = u.owner_id AND h.hour = u.hour",
        &[&columns[0], &columns[1]],
    )
    .await?;
    Ok(found.len())
}

/// Deletes days before this hour's, with all that their nodes have of them.
pub(super) async fn expire_days(tx: &Transaction, before: Hour) -> Result<usize, Failure> {
    let found = find(
        tx,
        "SELECT node_id, day FROM emulated_cpu_day WHERE day < $1 ORDER BY day, node_id LIMIT $2",
        &[&before.day(), &CHUNK],
    )
    .await?;
    if found.is_empty() {
        return Ok(0);
    }
    tx.execute(
        "DELETE FROM emulated_cpu_day AS d
         USING (SELECT DISTINCT node_id, day FROM unnest($1::BIGINT[], $2::BIGINT[])
                AS v (node_id, day)) AS u
         WHERE d.day = u.day AND d.node_id = u.node_id",
        &[&column(&found, 0)?, &column(&found, 1)?],
    )
    .await?;
    Ok(found.len())
}
