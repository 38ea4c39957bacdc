//! Events that come after a place, for whoever passes them on.

use std::time::SystemTime;

use archtrace_facts::fleet::NodeEvent;
use archtrace_query::read::{EventPlace, NodeId};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::pool::Database;
use super::read::read;
use crate::store::StoreError;
use crate::store::sql::{self, from_count, from_random, from_time, to_count};

/// The places, as `q`, and what comes after them.
const PLACES: &str = "unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[])
       AS q (node_id, version, stream_id, sequence)";
const AFTER: &str = "e.node_id = q.node_id AND e.version >= q.version
       AND (e.version > q.version OR e.stream_id > q.stream_id
         OR (e.stream_id = q.stream_id AND e.sequence > q.sequence))";

/// The first events, in the order of nodes and places.
pub(super) async fn list(
    db: &Database,
    nodes: &[(NodeId, EventPlace)],
    limit: u32,
) -> Result<Vec<(NodeId, EventPlace, NodeEvent)>, StoreError> {
    let what = "list new events";
    let (columns, tables) = (sql::EVENT_CHANGE_COLUMNS, sql::EVENT_TABLES);
    let text = format!(
        "SELECT {columns} FROM {PLACES} CROSS JOIN {tables} WHERE {AFTER}
         ORDER BY e.node_id, e.version, e.stream_id, e.sequence LIMIT $5"
    );
    let rows = ask(db, what, &text, nodes, limit.into()).await?;
    read(db, what, &rows, |row| {
        let (node, version, event) = sql::read_event_change(row)?;
        Ok((node, EventPlace::of(version, &event), event))
    })
}

/// How many of them are older than `before`.
pub(super) async fn count(
    db: &Database,
    nodes: &[(NodeId, EventPlace)],
    before: SystemTime,
) -> Result<u64, StoreError> {
    let what = "count events";
    let text = format!(
        "SELECT COUNT(*) FROM {PLACES} CROSS JOIN event e WHERE {AFTER} AND e.\"time\" < $5"
    );
    let rows = ask(db, what, &text, nodes, from_time(before)).await?;
    let counts = read(db, what, &rows, |row| Ok(to_count(row.try_get(0)?)))?;
    Ok(counts.into_iter().sum())
}

async fn ask(
    db: &Database,
    what: &'static str,
    text: &str,
    nodes: &[(NodeId, EventPlace)],
    last: i64,
) -> Result<Vec<Row>, StoreError> {
    let column = |of: fn(&(NodeId, EventPlace)) -> i64| nodes.iter().map(of).collect::<Vec<_>>();
    let ids = column(|(node, _)| node.0);
    let versions = column(|(_, place)| place.version.0);
    let streams = column(|(_, place)| from_random(place.stream_id));
    let sequences = column(|(_, place)| from_count(place.sequence));
    db.ask_typed(
        what,
        text,
        &[
            (&ids, Type::INT8_ARRAY),
            (&versions, Type::INT8_ARRAY),
            (&streams, Type::INT8_ARRAY),
            (&sequences, Type::INT8_ARRAY),
            (&last, Type::INT8),
        ],
    )
    .await
}
