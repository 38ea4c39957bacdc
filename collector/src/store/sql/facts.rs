//! Facts.

use archtrace_facts::fact::{Fact, FactId};
use archtrace_facts::fleet::NodeFact;
use archtrace_query::read::{FactChange, FactCursor, FactQuery, NodeId, Version};

use super::row::{Cells, identity};
use super::selection::{self, Subject};
use super::values::{from_time, to_count, to_time};
use super::{Conditions, Dialect, Failure, Row, Statement};

/// What [`columns`](COLUMNS) are of.
pub(in crate::store) const TABLES: &str = "fact f JOIN node n ON n.id = f.node_id \
     JOIN node_state s ON s.node_id = f.node_id JOIN owner o ON o.id = f.owner_id";

/// What [`node_fact`] reads.
macro_rules! columns {
    () => {
        "n.cluster, n.name, n.arch, o.identity, \
         CAST(CASE WHEN f.live = TRUE THEN 1 ELSE 0 END AS BIGINT), s.last_heard, \
         o.cgroup, f.binary, CAST(CASE WHEN f.path_resolved = TRUE THEN 1 ELSE 0 END AS BIGINT), f.arch, f.mode, f.emulator, f.via, f.cause, \
         f.count, f.processes, f.cpu_ns, f.first_seen, f.last_seen"
    };
}

const COLUMNS: &str = concat!("f.id, ", columns!());

/// What [`read_change`] reads.
pub(in crate::store) const CHANGE_COLUMNS: &str =
    concat!("f.node_id, f.version, f.key_id, f.id, ", columns!());

/// Facts, newest first.
pub(in crate::store) fn list(dialect: Dialect, query: &FactQuery) -> Statement {
    let FactQuery {
        selection,
        running,
        history,
        alive_since,
        after,
        limit,
    } = query;
    let alive_since = from_time(*alive_since);
    let mut conditions = Conditions::new(dialect);
    selection::add(&mut conditions, selection, Subject::Fact { alive_since });
    if *running {
        let alive_since = conditions.integer(alive_since);
        conditions.add(format!("f.processes > 0 AND s.last_heard >= {alive_since}"));
    }
    if *running || !history {
        conditions.add("f.live = TRUE".to_owned());
    }
    if let Some(FactCursor(after)) = after {
        let after = conditions.integer(*after);
        conditions.add(format!("f.id < {after}"));
    }
    let head = format!("SELECT {COLUMNS} FROM {TABLES}");
    conditions.statement(&head, "ORDER BY f.id DESC", *limit)
}

/// Reads a row of [`list`].
pub(in crate::store) fn read(
    row: &impl Row,
    query: &FactQuery,
) -> Result<(FactCursor, NodeFact), Failure> {
    let mut cells = Cells::of(row);
    let cursor = FactCursor(cells.integer()?);
    Ok((cursor, node_fact(&mut cells, from_time(query.alive_since))?))
}

/// Reads a row of [`CHANGE_COLUMNS`].
pub(in crate::store) fn read_change(row: &impl Row) -> Result<FactChange, Failure> {
    let mut cells = Cells::of(row);
    Ok(FactChange {
        node: NodeId(cells.integer()?),
        version: Version(cells.integer()?),
        id: FactId(cells.blob()?.try_into()?),
        cursor: FactCursor(cells.integer()?),
        // Whoever follows changes decides who is current.
        fact: node_fact(&mut cells, i64::MIN)?,
    })
}

fn node_fact(cells: &mut Cells<'_, impl Row>, alive_since: i64) -> Result<NodeFact, Failure> {
    let cluster = cells.text()?.to_owned();
    let node = cells.text()?.to_owned();
    let node_arch = cells.word()?;
    let told = cells.some_blob()?;
    let live = cells.integer()? != 0;
    let current = cells.integer()? >= alive_since;
    let key = cells.key()?;
    let count = to_count(cells.integer()?);
    let processes = to_count(cells.integer()?);
    Ok(NodeFact {
        cluster,
        node,
        node_arch,
        identity: identity(told, &key.cgroup)?,
        fact: Fact {
            key,
            count,
            processes: if current && live { processes } else { 0 },
            cpu_ns: to_count(cells.integer()?),
            first_seen: to_time(cells.integer()?),
            last_seen: to_time(cells.integer()?),
        },
        current,
        ended: !live,
    })
}
