//! Emulated CPU time.

use archtrace_facts::cost::{CostDimension, CostPart, Hour, Share};
use archtrace_query::read::CostQuery;

use super::row::Cells;
use super::values::to_count;
use super::{Conditions, Dialect, Failure, Row, Statement};

/// The workload of an owner `o`; what has none is told by its pod, or its unit.
macro_rules! workload {
    () => {
        "CASE WHEN o.workload <> '' THEN o.workload WHEN o.pod <> '' THEN 'Pod/' || o.pod \
         ELSE o.unit END"
    };
}

pub(in crate::store) use workload;

/// As [`CostDimension::Workload`] explains.
pub(in crate::store) const WORKLOAD: &str = workload!();

/// Sums by what is asked for and by kind of machine, the largest first. A sum may be larger than any
/// number of the database, for agents tell what they like: the halves are summed up apart.
pub(in crate::store) fn list(dialect: Dialect, query: &CostQuery) -> Statement {
    let CostQuery {
        by,
        span,
        clusters,
        nodes,
        namespaces,
        workloads,
        limit,
    } = query;
    let mut conditions = Conditions::new(dialect);
    let days = [span.first_day(), span.end_day()].map(|day| conditions.integer(day));
    let hours = [span.from, span.to].map(|hour| conditions.integer(hour.0));
    for (column, patterns) in [
        ("n.cluster", clusters),
        ("n.name", nodes),
        ("c.namespace", namespaces),
        ("c.workload", workloads),
    ] {
        if !patterns.is_empty() {
            let patterns = patterns.iter().map(|text| conditions.like(column, text));
            let patterns: Vec<_> = patterns.collect();
            conditions.add(format!("({})", patterns.join(" OR ")));
        }
    }
    let columns = by.iter().map(|by| column(*by)).chain([INSTANCE_TYPE]);
    let columns: Vec<_> = columns.collect();
    let places: Vec<_> = (1..=columns.len()).map(|at| at.to_string()).collect();
    // First by owner, in whose order hours are stored: the few rows that are left get names, and are sorted.
    // The sign keeps the databases from looking hours up one by one in an index.
    let (by_day, of_day) = if by.contains(&CostDimension::Day) {
        (", d.day", ", h.hour / 24")
    } else {
        ("", "")
    };
    let head = format!(
        "SELECT {}, CAST(SUM(c.high) AS BIGINT) AS high, CAST(SUM(c.low) AS BIGINT) AS low, \
           COUNT(DISTINCT c.node_id) \
         FROM (SELECT MIN(d.day) AS day, d.node_id AS node_id, d.namespace AS namespace, \
             d.workload AS workload, SUM(d.cpu_ns >> 32) AS high, \
             SUM(d.cpu_ns & 4294967295) AS low \
           FROM emulated_cpu_day d WHERE d.day >= {} AND d.day < {} \
           GROUP BY d.node_id, d.namespace, d.workload{by_day} \
           UNION ALL \
           SELECT s.day, o.node_id, o.namespace, {WORKLOAD}, s.high, s.low \
           FROM (SELECT h.owner_id AS owner_id, MIN(h.hour / 24) AS day, \
               SUM(h.cpu_ns >> 32) AS high, SUM(h.cpu_ns & 4294967295) AS low \
             FROM emulated_cpu h WHERE +h.hour >= {} AND +h.hour < {} \
             GROUP BY h.owner_id{of_day}) s \
           JOIN owner o ON o.id = s.owner_id) c \
         JOIN node n ON n.id = c.node_id LEFT JOIN node_machine m ON m.node_id = c.node_id",
        columns.join(", "),
        days[0],
        days[1],
        hours[0],
        hours[1],
    );
    let tail = format!(
        "GROUP BY {} ORDER BY high DESC, low DESC",
        places.join(", ")
    );
    conditions.statement(&head, &tail, *limit)
}

const INSTANCE_TYPE: &str = "COALESCE(m.instance_type, '')";

fn column(by: CostDimension) -> &'static str {
    match by {
        CostDimension::Cluster => "n.cluster",
        CostDimension::Node => "n.name",
        CostDimension::Namespace => "c.namespace",
        CostDimension::Workload => "c.workload",
        CostDimension::InstanceType => INSTANCE_TYPE,
        CostDimension::Zone => "COALESCE(m.zone, '')",
        CostDimension::Day => "c.day",
    }
}

/// Reads a row of [`list`].
pub(in crate::store) fn read(row: &impl Row, by: &[CostDimension]) -> Result<CostPart, Failure> {
    let mut cells = Cells::of(row);
    let mut value = |by: &CostDimension| match by {
        CostDimension::Day => cells.integer().map(Hour::date_of_day),
        _ => cells.text().map(str::to_owned),
    };
    let values = by.iter().map(&mut value).collect::<Result<_, _>>()?;
    let instance_type = cells.text()?.to_owned();
    let (high, low) = (cells.integer()?, cells.integer()?);
    // What an agent took back in another hour leaves less than nothing in this one.
    let sum = (i128::from(high) << 32) + i128::from(low);
    let cpu_ns = u64::try_from(sum.max(0)).unwrap_or(u64::MAX);
    Ok(CostPart {
        values,
        share: Share {
            instance_type,
            cpu_ns,
            nodes: to_count(cells.integer()?),
            price: None,
        },
    })
}
