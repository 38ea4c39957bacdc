//! Sums.

use std::time::Duration;

use archtrace_facts::fleet::{Dimension, SummaryRow};
use serde::{Serialize, Serializer};

use crate::show::human::seconds;

#[derive(Serialize)]
pub(crate) struct Row<'a> {
    #[serde(flatten)]
    values: Values<'a>,
    facts: u64,
    nodes: u64,
    pods: u64,
    processes: u64,
    count: u64,
    cpu_seconds: f64,
}

/// A field for each dimension, in the order that was asked for.
struct Values<'a>(&'a [Dimension], &'a [String]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(by, values) = self;
        serializer.collect_map(by.iter().map(|by| by.as_str()).zip(*values))
    }
}

pub(crate) fn summary<'a>(row: &'a SummaryRow, by: &'a [Dimension]) -> Row<'a> {
    Row {
        values: Values(by, &row.values),
        facts: row.facts,
        nodes: row.nodes,
        pods: row.pods,
        processes: row.processes,
        count: row.count,
        cpu_seconds: seconds(Duration::from_nanos(row.cpu_ns)),
    }
}
