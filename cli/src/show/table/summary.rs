//! Sums: one row for each combination, and for how many nodes they speak.

use std::fmt::Write as _;
use std::time::Duration;

use archtrace_facts::fleet::{Coverage, Dimension, Summary, SummaryRow};
use comfy_table::ContentArrangement;

use super::Listing;
use crate::show::human::{count, duration};

pub(crate) fn summary(
    Summary { rows, more_rows }: &Summary,
    by: &[Dimension],
    coverage: &Coverage,
) -> String {
    let names: Vec<_> = by
        .iter()
        .map(|by| by.as_str().to_ascii_uppercase())
        .collect();
    let mut head: Vec<_> = names.iter().map(String::as_str).collect();
    head.extend([">FACTS", ">NODES", ">PODS", ">ALIVE", ">EXECS", ">CPU"]);
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for row in rows {
        let SummaryRow {
            values,
            facts,
            nodes,
            pods,
            processes,
            count: execs,
            cpu_ns,
        } = row;
        let known = |value: &String| match value.as_str() {
            "" => table.plain("-"),
            value => table.plain(value),
        };
        let mut cells: Vec<_> = values.iter().map(known).collect();
        cells.extend([*facts, *nodes, *pods, *processes, *execs].map(|n| table.number(count(n))));
        cells.push(table.number(duration(Duration::from_nanos(*cpu_ns))));
        table.add(cells);
    }
    let mut text = table.text();
    // Writing to a String cannot fail.
    if *more_rows > 0 {
        let _ = writeln!(text, "and {} more row(s)", count(*more_rows));
    }
    let _ = writeln!(
        text,
        "\nnodes: {} reporting, {} stale, {} unknown",
        count(coverage.reporting),
        count(coverage.stale),
        count(coverage.unknown)
    );
    text
}
