//! Answers.

use std::collections::HashMap;
use std::time::SystemTime;

use archtrace_facts::arch::Arch;
use archtrace_facts::fleet::{
    FleetImage, LossTotal, NodeEvent, NodeFact, NodeState, NodeStatus, Totals,
};
use archtrace_proto::convert::{decode_health, decode_image, decode_node, decode_preflight};
use archtrace_query::read::{
    EventCursor, EventQuery, FactChange, FactCursor, FactQuery, Head, ImageCursor, ImageQuery,
    NodeId, NodeQuery, Version,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::pool::Database;
use crate::store::StoreError;
use crate::store::sql::{self, Conditions, Dialect, Failure, from_time, to_count, to_time};

impl sql::Row for Row {
    fn integer(&self, at: usize) -> Result<Option<i64>, Failure> {
        Ok(self.try_get(at)?)
    }

    fn text(&self, at: usize) -> Result<Option<&str>, Failure> {
        Ok(self.try_get(at)?)
    }

    fn blob(&self, at: usize) -> Result<Option<&[u8]>, Failure> {
        Ok(self.try_get(at)?)
    }
}

pub(super) async fn facts(
    db: &Database,
    query: &FactQuery,
) -> Result<Vec<(FactCursor, NodeFact)>, StoreError> {
    let what = "list facts";
    let rows = db
        .ask(what, &sql::list_facts(Dialect::Postgres, query))
        .await?;
    read(db, what, &rows, |row| sql::read_fact(row, query))
}

pub(super) async fn events(
    db: &Database,
    query: &EventQuery,
) -> Result<Vec<(EventCursor, NodeEvent)>, StoreError> {
    let what = "list events";
    let rows = db
        .ask(what, &sql::list_events(Dialect::Postgres, query))
        .await?;
    read(db, what, &rows, sql::read_event)
}

pub(super) async fn images(
    db: &Database,
    query: &ImageQuery,
) -> Result<Vec<(ImageCursor, FleetImage)>, StoreError> {
    let ImageQuery {
        nodes,
        names,
        after,
        limit,
    } = query;
    let mut conditions = Conditions::new(Dialect::Postgres);
    if !nodes.is_empty() {
        let nodes = conditions.one_of("n.name", nodes.iter().map(String::as_str));
        conditions.add(nodes);
    }
    if !names.is_empty() {
        let names = names
            .iter()
            .map(|name| conditions.contains("i.names", name));
        let names: Vec<_> = names.collect();
        conditions.add(format!("({})", names.join(" OR ")));
    }
    if let Some(after) = after {
        let after = conditions.integer(after.0);
        conditions.add(format!("i.id < {after}"));
    }
    let what = "list images";
    let statement = conditions.statement(
        "SELECT i.id, i.info, MAX(t.last_seen)
         FROM image i JOIN node_image t ON t.image_id = i.id JOIN node n ON n.id = t.node_id",
        "GROUP BY i.id, i.info ORDER BY i.id DESC",
        *limit,
    );
    let rows = db.ask(what, &statement).await?;
    let images: Vec<i64> = read(db, what, &rows, |row| Ok(row.try_get(0)?))?;
    let mut nodes = nodes_of(db, &images).await?;
    read(db, what, &rows, |row| {
        let id = row.try_get(0)?;
        let image = FleetImage {
            image: decode_image(row.try_get(1)?)?,
            nodes: nodes.remove(&id).unwrap_or_default(),
            last_seen: to_time(row.try_get(2)?),
            registry: Vec::new(),
        };
        Ok((ImageCursor(id), image))
    })
}

/// How many nodes have containers of images, by their architecture.
async fn nodes_of(
    db: &Database,
    images: &[i64],
) -> Result<HashMap<i64, Vec<(Arch, u64)>>, StoreError> {
    let what = "list images";
    let text = "SELECT t.image_id, n.arch, COUNT(*)
         FROM node_image t JOIN node n ON n.id = t.node_id
         WHERE t.image_id = ANY($1) GROUP BY t.image_id, n.arch";
    let rows = db
        .ask_typed(what, text, &[(&images, Type::INT8_ARRAY)])
        .await?;
    let mut nodes: HashMap<i64, Vec<(Arch, u64)>> = HashMap::new();
    for (image, arch, count) in read(db, what, &rows, |row| {
        let arch: &str = row.try_get(1)?;
        Ok((
            row.try_get(0)?,
            arch.parse::<Arch>()?,
            to_count(row.try_get(2)?),
        ))
    })? {
        nodes.entry(image).or_default().push((arch, count));
    }
    // Databases order texts as they like.
    for nodes in nodes.values_mut() {
        nodes.sort_by_cached_key(|(arch, _)| arch.to_string());
    }
    Ok(nodes)
}

pub(super) async fn nodes(
    db: &Database,
    query: &NodeQuery,
) -> Result<Vec<(NodeId, NodeStatus)>, StoreError> {
    let alive_since = from_time(query.alive_since);
    let mut conditions = Conditions::new(Dialect::Postgres);
    conditions.add("s.session <> s.forgotten_session".to_owned());
    if !query.names.is_empty() {
        let names = conditions.one_of("n.name", query.names.iter().map(String::as_str));
        conditions.add(names);
    }
    if let Some(after) = query.after {
        let after = conditions.integer(after.0);
        conditions.add(format!("n.id > {after}"));
    }
    let what = "list nodes";
    // History has no processes. What is summed up comes from peers: a sum that does not fit stays at the
    // highest number.
    let statement = conditions.statement(
        "SELECT n.id, n.cluster, i.info, i.preflight, s.last_heard, s.attached_at, s.health, s.facts,
           s.emulated_facts, s.failed_facts,
           (SELECT CAST(LEAST(COALESCE(SUM(f.processes), 0), 9223372036854775807) AS BIGINT)
              FROM fact f WHERE f.node_id = n.id AND f.mode = 'emulated' AND f.mode <> 'native')
         FROM node n JOIN node_state s ON s.node_id = n.id JOIN node_info i ON i.node_id = n.id",
        "ORDER BY n.id",
        query.limit,
    );
    let rows = db.ask(what, &statement).await?;
    let ids: Vec<i64> = read(db, what, &rows, |row| Ok(row.try_get(0)?))?;
    let mut losses = losses_of(db, &ids).await?;
    read(db, what, &rows, |row| {
        let id: i64 = row.try_get(0)?;
        let losses = losses.remove(&id).unwrap_or_default();
        Ok((NodeId(id), node(row, alive_since, losses)?))
    })
}

fn node(row: &Row, alive_since: i64, losses: Vec<LossTotal>) -> Result<NodeStatus, Failure> {
    let last_heard: i64 = row.try_get(4)?;
    let reporting = last_heard >= alive_since;
    let health: Option<&[u8]> = row.try_get(6)?;
    let count = |at: usize| row.try_get(at).map(to_count);
    Ok(NodeStatus {
        cluster: row.try_get(1)?,
        info: decode_node(row.try_get(2)?)?,
        state: if reporting {
            NodeState::Reporting
        } else {
            NodeState::Stale
        },
        last_heard: Some(to_time(last_heard)),
        attached_at: Some(to_time(row.try_get(5)?)),
        preflight: decode_preflight(row.try_get(3)?)?,
        facts: count(7)?,
        emulated_facts: count(8)?,
        failed_facts: count(9)?,
        emulated_processes: if reporting { count(10)? } else { 0 },
        losses,
        health: health.map(decode_health).transpose()?,
    })
}

async fn losses_of(
    db: &Database,
    nodes: &[i64],
) -> Result<HashMap<i64, Vec<LossTotal>>, StoreError> {
    let what = "list nodes";
    let text = "SELECT node_id, stage, count, records FROM loss_total WHERE node_id = ANY($1)";
    let rows = db
        .ask_typed(what, text, &[(&nodes, Type::INT8_ARRAY)])
        .await?;
    let mut losses: HashMap<i64, Vec<LossTotal>> = HashMap::new();
    for (node, total) in read(db, what, &rows, |row| Ok((row.try_get(0)?, loss(row, 1)?)))? {
        losses.entry(node).or_default().push(total);
    }
    for losses in losses.values_mut() {
        losses.sort_by(|a, b| a.stage.cmp(&b.stage));
    }
    Ok(losses)
}

/// Reads a stage, a count and a number of records, from column `at` on.
fn loss(row: &Row, at: usize) -> Result<LossTotal, Failure> {
    Ok(LossTotal {
        stage: row.try_get(at)?,
        count: to_count(row.try_get(at + 1)?),
        records: to_count(row.try_get(at + 2)?),
    })
}

pub(super) async fn totals(db: &Database, alive_since: SystemTime) -> Result<Totals, StoreError> {
    let what = "sum up";
    let alive_since = from_time(alive_since);
    let rows = db
        .ask_typed(
            what,
            "SELECT COUNT(CASE WHEN session <> forgotten_session THEN 1 END),
               COUNT(CASE WHEN session <> forgotten_session AND last_heard >= $1 THEN 1 END),
               CAST(COALESCE(SUM(facts), 0) AS BIGINT), CAST(COALESCE(SUM(emulated_facts), 0) AS BIGINT),
               CAST(COALESCE(SUM(failed_facts), 0) AS BIGINT),
               (SELECT CAST(COALESCE(SUM(events), 0) AS BIGINT) FROM stream),
               (SELECT CAST(LEAST(COALESCE(SUM(gap), 0), 9223372036854775807) AS BIGINT)
                FROM (SELECT GREATEST(missing - explained, 0) AS gap FROM stream UNION ALL
                      SELECT count FROM forgotten WHERE kind = 'gap') AS gaps)
             FROM node_state",
            &[(&alive_since, Type::INT8)],
        )
        .await?;
    let sums = read(db, what, &rows, |row| {
        let numbers = (0..7).map(|at| row.try_get(at).map(to_count));
        Ok(numbers.collect::<Result<Vec<_>, _>>()?)
    })?;
    let sums: [u64; 7] = sums
        .into_iter()
        .next()
        .and_then(|sums| sums.try_into().ok())
        .unwrap_or_default();
    let [
        nodes,
        nodes_reporting,
        facts,
        emulated_facts,
        failed_facts,
        events,
        unexplained_gap,
    ] = sums;
    let rows = db
        .ask_typed(
            what,
            "SELECT stage, CAST(LEAST(SUM(count), 9223372036854775807) AS BIGINT),
               CAST(SUM(records) AS BIGINT)
             FROM (SELECT stage, count, records FROM loss_total UNION ALL
                   SELECT stage, count, records FROM forgotten WHERE kind = 'loss') AS losses
             GROUP BY stage",
            &[],
        )
        .await?;
    let mut losses = read(db, what, &rows, |row| loss(row, 0))?;
    losses.sort_by(|a, b| a.stage.cmp(&b.stage));
    Ok(Totals {
        bytes: bytes(db).await,
        nodes_reporting,
        nodes_stale: nodes.saturating_sub(nodes_reporting),
        facts,
        emulated_facts,
        failed_facts,
        events,
        unexplained_gap,
        losses,
    })
}

/// The size of the database; 0 where it cannot tell, as not everything that speaks PostgreSQL's protocol can.
async fn bytes(db: &Database) -> u64 {
    let text = "SELECT pg_database_size(current_database())";
    let rows = db.ask_typed("sum up", text, &[]).await.unwrap_or_default();
    let size = rows.first().and_then(|row| row.try_get(0).ok());
    size.map_or(0, to_count)
}

pub(super) async fn heads(db: &Database) -> Result<Vec<Head>, StoreError> {
    let what = "list nodes";
    let text = "SELECT n.id, n.cluster, n.name, n.arch, s.version, s.began, s.last_heard
         FROM node n JOIN node_state s ON s.node_id = n.id
         WHERE s.session <> s.forgotten_session ORDER BY n.id";
    let rows = db.ask_typed(what, text, &[]).await?;
    read(db, what, &rows, |row| {
        let arch: &str = row.try_get(3)?;
        Ok(Head {
            node: NodeId(row.try_get(0)?),
            cluster: row.try_get(1)?,
            name: row.try_get(2)?,
            arch: arch.parse()?,
            version: Version(row.try_get(4)?),
            began: Version(row.try_get(5)?),
            last_heard: to_time(row.try_get(6)?),
        })
    })
}

pub(super) async fn facts_since(
    db: &Database,
    nodes: &[(NodeId, Version)],
) -> Result<Vec<FactChange>, StoreError> {
    let what = "list changes of facts";
    let (new, seen): (Vec<_>, Vec<_>) = nodes
        .iter()
        .partition(|(_, seen)| *seen == Version::default());
    let (columns, tables) = (sql::FACT_CHANGE_COLUMNS, sql::FACT_TABLES);
    let mut changes = Vec::new();
    for (nodes, live) in [(new, "f.live = TRUE AND "), (seen, "")] {
        if nodes.is_empty() {
            continue;
        }
        let text = format!(
            "SELECT {columns} FROM unnest($1::BIGINT[], $2::BIGINT[]) AS q (node_id, version)
               CROSS JOIN {tables} WHERE {live}f.node_id = q.node_id AND f.version > q.version
             ORDER BY f.node_id, f.version, f.id"
        );
        let rows = since(db, what, &text, &nodes).await?;
        changes.extend(read(db, what, &rows, sql::read_fact_change)?);
    }
    Ok(changes)
}

pub(super) async fn events_since(
    db: &Database,
    nodes: &[(NodeId, Version)],
) -> Result<Vec<(NodeId, Version, NodeEvent)>, StoreError> {
    let what = "list new events";
    let (columns, tables) = (sql::EVENT_CHANGE_COLUMNS, sql::EVENT_TABLES);
    let text = format!(
        "SELECT {columns} FROM unnest($1::BIGINT[], $2::BIGINT[]) AS q (node_id, version)
           CROSS JOIN {tables} WHERE e.node_id = q.node_id AND e.version > q.version
         ORDER BY e.node_id, e.version, e.stream_id, e.sequence"
    );
    let rows = since(db, what, &text, nodes).await?;
    read(db, what, &rows, sql::read_event_change)
}

async fn since(
    db: &Database,
    what: &'static str,
    text: &str,
    nodes: &[(NodeId, Version)],
) -> Result<Vec<Row>, StoreError> {
    let ids: Vec<i64> = nodes.iter().map(|(node, _)| node.0).collect();
    let versions: Vec<i64> = nodes.iter().map(|(_, version)| version.0).collect();
    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&ids, Type::INT8_ARRAY), (&versions, Type::INT8_ARRAY)];
    db.ask_typed(what, text, &values).await
}

/// Reads rows; one that does not read fails the whole answer.
pub(super) fn read<T>(
    db: &Database,
    what: &'static str,
    rows: &[Row],
    one: impl FnMut(&Row) -> Result<T, Failure>,
) -> Result<Vec<T>, StoreError> {
    let read: Result<Vec<T>, Failure> = rows.iter().map(one).collect();
    read.map_err(|reason| StoreError::Failed {
        store: db.name().clone(),
        what,
        reason: reason.into(),
    })
}
