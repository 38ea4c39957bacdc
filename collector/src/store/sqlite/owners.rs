//! Whose cgroups are, and the images of their containers.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::fleet::FleetImage;
use archtrace_facts::identity::{self, Identity};
use archtrace_facts::image::Image;
use archtrace_facts::report::Owner;
use archtrace_proto::convert::{decode_identity, decode_image, encode_identity, encode_image};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::nodes::{self, Change};
use super::select::Conditions;
use super::values::{from_count, from_time, to_count, to_time};
use super::writer::Failure;
use crate::store::sql::DAY;
use crate::store::{NamedPod, NodeId};
use archtrace_query::read::{ImageCursor, ImageQuery};

/// Rows of owners that were looked up in a change, by cgroup.
pub(super) type Rows<'a> = HashMap<&'a str, i64>;

/// Takes in whose cgroups are, as an agent tells it, and returns their rows. Facts of a cgroup that
/// gets another owner change with it.
pub(super) fn take<'a>(
    change: &mut Change<'_>,
    owners: &'a [Owner],
    now: SystemTime,
) -> Result<Rows<'a>, Failure> {
    let (db, node, now) = (change.db, change.node, from_time(now));
    let mut rows = Rows::with_capacity(owners.len());
    for Owner { cgroup, identity } in owners {
        let known = db
            .prepare_cached("SELECT id, identity FROM owner WHERE node_id = ? AND cgroup = ?")?
            .query_row(params![node.0, cgroup], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        let encoded = encode_identity(identity);
        let Some((row, had)) = known else {
            rows.insert(cgroup, insert(db, node, cgroup, identity, &encoded, now)?);
            continue;
        };
        rows.insert(cgroup, row);
        if had == encoded {
            touch(db, row, now)?;
            continue;
        }
        // Maps may be encoded in another order.
        let had = decode_identity(&had)?;
        let identity = identity.clone().after(&had);
        if identity == had {
            touch(db, row, now)?;
        } else {
            update(db, row, &identity, &encode_identity(&identity), now)?;
            change_facts(change, row)?;
        }
    }
    Ok(rows)
}

/// Whoever follows the facts of an owner is told them again.
fn change_facts(change: &mut Change<'_>, row: i64) -> rusqlite::Result<()> {
    let version = change.version();
    change
        .db
        .prepare_cached("UPDATE fact SET version = ? WHERE owner_id = ? AND live = TRUE")?
        .execute([version, row])?;
    Ok(())
}

/// Names what pods belong to, wherever they are known, and returns how many owners changed.
pub(super) fn name_pods(db: &Connection, pods: &[NamedPod]) -> Result<u64, Failure> {
    let mut renamed: BTreeMap<i64, Vec<(i64, Identity)>> = BTreeMap::new();
    for pod in pods {
        let mut statement = db.prepare_cached(
            "SELECT id, node_id, identity FROM owner WHERE pod = ? AND namespace = ?",
        )?;
        let mut rows = statement.query([&pod.pod, &pod.namespace])?;
        while let Some(row) = rows.next()? {
            let had = decode_identity(row.get_ref(2)?.as_blob()?)?;
            if let Some(identity) = had.with_workload(&pod.uid, &pod.workload) {
                let of_node = renamed.entry(row.get(1)?).or_default();
                of_node.push((row.get(0)?, identity));
            }
        }
    }
    let mut count = 0;
    for (node, owners) in renamed {
        let node = NodeId(node);
        let mut change = Change::of(db, node, &nodes::state(db, node)?);
        for (row, identity) in owners {
            update(db, row, &identity, &encode_identity(&identity), 0)?;
            change_facts(&mut change, row)?;
            count += 1;
        }
        // No sign of life of the node's.
        change.finish(None, SystemTime::UNIX_EPOCH)?;
    }
    Ok(count)
}

/// The row of a cgroup's owner: that of whom the cgroup's path tells, until an agent says more.
pub(super) fn of_cgroup(
    db: &Connection,
    node: NodeId,
    cgroup: &str,
    now: SystemTime,
) -> rusqlite::Result<i64> {
    let known = db
        .prepare_cached("SELECT id FROM owner WHERE node_id = ? AND cgroup = ?")?
        .query_row(params![node.0, cgroup], |row| row.get(0))
        .optional()?;
    if let Some(row) = known {
        return Ok(row);
    }
    let identity = identity::of_cgroup(cgroup);
    insert(
        db,
        node,
        cgroup,
        &identity,
        &encode_identity(&identity),
        from_time(now),
    )
}

fn insert(
    db: &Connection,
    node: NodeId,
    cgroup: &str,
    identity: &Identity,
    encoded: &[u8],
    now: i64,
) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO owner (node_id, cgroup, namespace, pod, container, workload, image, image_id, unit,
           identity, last_used)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        node.0,
        cgroup,
        identity.namespace,
        identity.pod,
        identity.container,
        identity.workload,
        identity.image,
        identity.image_id,
        identity.unit,
        encoded,
        now,
    ])?;
    Ok(db.last_insert_rowid())
}

fn update(
    db: &Connection,
    row: i64,
    identity: &Identity,
    encoded: &[u8],
    now: i64,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE owner SET namespace = ?, pod = ?, container = ?, workload = ?, image = ?, image_id = ?,
           unit = ?, identity = ?, last_used = MAX(last_used, ?)
         WHERE id = ?",
    )?
    .execute(params![
        identity.namespace,
        identity.pod,
        identity.container,
        identity.workload,
        identity.image,
        identity.image_id,
        identity.unit,
        encoded,
        now,
        row,
    ])?;
    Ok(())
}

/// Notes that an owner was told of: once a day is enough to see which nobody needs, and spares a
/// snapshot that says nothing new one write for each.
fn touch(db: &Connection, row: i64, now: i64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE owner SET last_used = ?1 WHERE id = ?2 AND last_used < ?3")?
        .execute([now, row, now.saturating_sub(DAY)])?;
    Ok(())
}

/// Makes columns of what is encoded, in a file whose owners had none.
pub(super) fn fill(db: &Connection) -> Result<(), Failure> {
    let mut statement = db.prepare("SELECT id, cgroup, identity, last_used FROM owner")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, cgroup): (i64, String) = (row.get(0)?, row.get(1)?);
        let told: Vec<u8> = row.get(2)?;
        let identity = if told.is_empty() {
            identity::of_cgroup(&cgroup)
        } else {
            decode_identity(&told)?
        };
        update(db, id, &identity, &encode_identity(&identity), row.get(3)?)?;
    }
    Ok(())
}

/// Takes in what an agent tells of the images of its node's containers.
pub(super) fn take_images(
    db: &Connection,
    node: NodeId,
    images: &[Image],
    now: SystemTime,
) -> Result<(), Failure> {
    for image in images {
        let id = take_image(db, image)?;
        db.prepare_cached(
            "INSERT INTO node_image (image_id, node_id, last_seen, last_used) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (image_id, node_id) DO UPDATE SET
               last_seen = excluded.last_seen, last_used = excluded.last_used",
        )?
        .execute(params![id, node.0, from_time(now)])?;
    }
    Ok(())
}

/// Stores an image once, whichever nodes tell of it, and returns its row. Names add up. Of two audits
/// that stays which looked at more files.
fn take_image(db: &Connection, image: &Image) -> Result<i64, Failure> {
    let known = db
        .prepare_cached("SELECT id, info FROM image WHERE digest = ?")?
        .query_row([&image.id], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .optional()?;
    let Some((id, info)) = known else {
        db.prepare_cached(
            "INSERT INTO image (digest, names, audited_files, info) VALUES (?, ?, ?, ?)",
        )?
        .execute(params![
            image.id,
            image.names.join("\n"),
            audited(image),
            encode_image(image),
        ])?;
        return Ok(db.last_insert_rowid());
    };
    let known = decode_image(&info)?;
    let merged = known.clone().merged(image);
    if merged != known {
        db.prepare_cached("UPDATE image SET names = ?, audited_files = ?, info = ? WHERE id = ?")?
            .execute(params![
                merged.names.join("\n"),
                audited(&merged),
                encode_image(&merged),
                id,
            ])?;
    }
    Ok(id)
}

fn audited(image: &Image) -> Option<i64> {
    image.audit.as_ref().map(|audit| from_count(audit.files))
}

pub(super) fn list(
    db: &Connection,
    query: &ImageQuery,
) -> Result<Vec<(ImageCursor, FleetImage)>, Failure> {
    let ImageQuery {
        nodes,
        names,
        after,
        limit,
    } = query;
    let mut conditions = Conditions::default();
    conditions.any_of("n.name", nodes.iter().cloned());
    conditions.any_contains("i.names", names.iter().cloned());
    if let Some(after) = after {
        conditions.add("i.id < ?", [Value::Integer(after.0)]);
    }
    let sql = format!(
        "SELECT i.id, i.info, MAX(t.last_seen)
         FROM image i JOIN node_image t ON t.image_id = i.id JOIN node n ON n.id = t.node_id{}
         GROUP BY i.id ORDER BY i.id DESC LIMIT ?",
        conditions.clause()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = conditions.values([Value::Integer((*limit).into())]);
    let mut rows = statement.query(params_from_iter(values))?;
    let mut images = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let image = FleetImage {
            image: decode_image(row.get_ref(1)?.as_blob()?)?,
            nodes: nodes_of(db, id)?,
            last_seen: to_time(row.get(2)?),
            registry: Vec::new(),
        };
        images.push((ImageCursor(id), image));
    }
    Ok(images)
}

/// How many nodes have containers of an image, by their architecture.
fn nodes_of(db: &Connection, image: i64) -> Result<Vec<(Arch, u64)>, Failure> {
    let mut statement = db.prepare_cached(
        "SELECT n.arch, COUNT(*) FROM node_image t JOIN node n ON n.id = t.node_id
         WHERE t.image_id = ? GROUP BY n.arch ORDER BY n.arch",
    )?;
    let mut rows = statement.query([image])?;
    let mut nodes = Vec::new();
    while let Some(row) = rows.next()? {
        nodes.push((row.get::<_, String>(0)?.parse()?, to_count(row.get(1)?)));
    }
    Ok(nodes)
}
