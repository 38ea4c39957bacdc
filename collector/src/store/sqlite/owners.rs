//! Whose cgroups are, and the images of their containers.

use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::fleet::FleetImage;
use archtrace_facts::image::Image;
use archtrace_facts::report::Owner;
use archtrace_proto::convert::{decode_image, encode_identity, encode_image};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::select::Conditions;
use super::values::{from_count, from_time, to_count, to_time};
use super::writer::Failure;
use crate::store::{ImageCursor, ImageQuery, NodeId};

/// Takes in what an agent tells of its node's containers.
pub(super) fn take(
    db: &Connection,
    node: NodeId,
    owners: &[Owner],
    images: &[Image],
    now: SystemTime,
) -> Result<(), Failure> {
    for Owner { cgroup, identity } in owners {
        db.prepare_cached(
            "INSERT INTO owner (node_id, cgroup, namespace, pod, identity) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (node_id, cgroup) DO UPDATE SET
               namespace = excluded.namespace, pod = excluded.pod, identity = excluded.identity",
        )?
        .execute(params![
            node.0,
            cgroup,
            identity.namespace,
            identity.pod,
            encode_identity(identity),
        ])?;
    }
    for image in images {
        let id = take_image(db, image)?;
        db.prepare_cached(
            "INSERT INTO node_image (image_id, node_id, last_seen) VALUES (?, ?, ?)
             ON CONFLICT (image_id, node_id) DO UPDATE SET last_seen = excluded.last_seen",
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
