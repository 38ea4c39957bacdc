//! Images: what is known of one holds on every node, so here alone nodes meet.

use std::collections::BTreeMap;

use archtrace_facts::image::Image;
use archtrace_proto::convert::{decode_image, encode_image};
use tokio_postgres::Row;

use super::pool::Transaction;
use super::writes::{Writes, values};
use crate::store::NodeId;
use crate::store::sql::{Failure, from_count};

/// Takes in what an agent tells of the images of its node's containers. Names add up. Of two audits that
/// stays which looked at more files.
///
/// Rows are made and locked in the order of digests, so that agents which tell of the same images do
/// not wait for each other in a circle; and only where something is new, for most of the time nothing is.
pub(super) async fn take(
    tx: &Transaction,
    node: NodeId,
    images: &[Image],
    now: i64,
) -> Result<(), Failure> {
    let mut told: BTreeMap<&str, Image> = BTreeMap::new();
    for image in images {
        let known = told.remove(image.id.as_str());
        let merged = known.map_or_else(|| image.clone(), |known| known.merged(image));
        told.insert(&image.id, merged);
    }
    if told.is_empty() {
        return Ok(());
    }
    let digests: Vec<_> = told.keys().map(|digest| (*digest).to_owned()).collect();
    let stored = tx
        .rows(
            "SELECT id, digest, info FROM image WHERE digest = ANY($1)",
            &[&digests],
        )
        .await?;
    let mut news: BTreeMap<&str, &Image> = told
        .iter()
        .map(|(digest, image)| (*digest, image))
        .collect();
    for row in &stored {
        if merged(row, &told)?.is_none() {
            news.remove(row.try_get::<_, &str>(1)?);
        }
    }
    if !news.is_empty() {
        write(tx, &news, &told).await?;
    }
    tx.execute(
        "INSERT INTO node_image (image_id, node_id, last_seen, last_used)
         SELECT id, $1, $2, $2 FROM image WHERE digest = ANY($3)
         ON CONFLICT (image_id, node_id) DO UPDATE SET
           last_seen = excluded.last_seen, last_used = excluded.last_used",
        &[&node.0, &now, &digests],
    )
    .await?;
    Ok(())
}

async fn write(
    tx: &Transaction,
    news: &BTreeMap<&str, &Image>,
    told: &BTreeMap<&str, Image>,
) -> Result<(), Failure> {
    let digests: Vec<_> = news.keys().map(|digest| (*digest).to_owned()).collect();
    let images = || news.values();
    let mut writes = Writes::default();
    writes.add(
        "INSERT INTO image (digest, names, audited_files, info)
         SELECT u.digest, u.names, u.audited_files, u.info
         FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[], $4::BYTEA[])
           AS u (digest, names, audited_files, info)
         ORDER BY u.digest
         ON CONFLICT (digest) DO NOTHING",
        values![
            digests.clone(),
            images()
                .map(|image| image.names.join("\n"))
                .collect::<Vec<_>>(),
            images().map(|image| audited(image)).collect::<Vec<_>>(),
            images()
                .map(|image| encode_image(image))
                .collect::<Vec<_>>(),
        ],
    );
    writes.run(tx).await?;
    let rows = tx
        .rows(
            "SELECT id, digest, info FROM image WHERE digest = ANY($1) ORDER BY digest FOR UPDATE",
            &[&digests],
        )
        .await?;
    for row in &rows {
        let Some(merged) = merged(row, told)? else {
            continue;
        };
        let id: i64 = row.try_get(0)?;
        tx.execute(
            "UPDATE image SET names = $1, audited_files = $2, info = $3 WHERE id = $4",
            &[
                &merged.names.join("\n"),
                &audited(&merged),
                &encode_image(&merged),
                &id,
            ],
        )
        .await?;
    }
    Ok(())
}

/// What a row's image is once it is told of too, if that is something new.
fn merged(row: &Row, told: &BTreeMap<&str, Image>) -> Result<Option<Image>, Failure> {
    let known = decode_image(row.try_get(2)?)?;
    let Some(told) = told.get(row.try_get::<_, &str>(1)?) else {
        return Ok(None);
    };
    let merged = known.clone().merged(told);
    Ok((merged != known).then_some(merged))
}

fn audited(image: &Image) -> Option<i64> {
    image.audit.as_ref().map(|audit| from_count(audit.files))
}
