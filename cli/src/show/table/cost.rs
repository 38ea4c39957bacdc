//! What emulation costs: one row for each combination, and what the numbers stand on.

use std::fmt::Write as _;
use std::time::Duration;

use archtrace_facts::cost::{Bill, Cost, CostDimension, CostRow, Slowdown};
use archtrace_facts::fleet::Coverage;
use comfy_table::ContentArrangement;

use super::Listing;
use crate::show::cost::assumptions;
use crate::show::human::{count, duration, utc};

pub(crate) fn cost(
    cost: &Cost,
    by: &[CostDimension],
    coverage: &Coverage,
    slowdown: Option<Slowdown>,
) -> String {
    let mut head: Vec<_> = by
        .iter()
        .map(|by| by.as_str().to_ascii_uppercase())
        .collect();
    let columns = columns(cost);
    head.extend(columns.iter().map(|(name, _)| format!(">{name}")));
    let head: Vec<_> = head.iter().map(String::as_str).collect();
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for row in &cost.rows {
        let known = |value: &String| match value.as_str() {
            "" => table.plain("-"),
            value => table.plain(value),
        };
        let mut cells: Vec<_> = row.values.iter().map(known).collect();
        let sum = Sum::of(row);
        cells.extend(columns.iter().map(|(_, number)| table.number(number(&sum))));
        table.add(cells);
    }
    let mut text = table.text();
    // Writing to a String cannot fail.
    if cost.more_rows > 0 {
        let _ = writeln!(text, "and {} more row(s)", count(cost.more_rows));
    }
    let all = Sum {
        cpu_ns: cost.cpu_ns(),
        avoidable_cpu_ns: cost.avoidable_cpu_ns,
        bill: cost.bill.as_ref(),
    };
    let total: Vec<_> = columns
        .iter()
        .map(|(name, number)| format!("{name} {}", number(&all)))
        .collect();
    let _ = writeln!(text, "\nin all: {}", total.join(", "));
    let _ = writeln!(text, "time: {} to {}", utc(cost.since), utc(cost.until));
    let _ = writeln!(
        text,
        "nodes: {} reporting, {} stale, {} unknown",
        count(coverage.reporting),
        count(coverage.stale),
        count(coverage.unknown)
    );
    for line in assumptions(cost, slowdown) {
        let _ = writeln!(text, "assumed: {line}");
    }
    text
}

/// What a number is made of.
struct Sum<'a> {
    cpu_ns: u64,
    avoidable_cpu_ns: Option<u64>,
    bill: Option<&'a Bill>,
}

impl<'a> Sum<'a> {
    fn of(row: &'a CostRow) -> Self {
        Self {
            cpu_ns: row.cpu_ns,
            avoidable_cpu_ns: row.avoidable_cpu_ns,
            bill: row.bill.as_ref(),
        }
    }

    /// What nothing is known of is not 0.
    fn of_bill(&self, show: impl Fn(&Bill) -> Option<String>) -> String {
        let known = self.bill.filter(|bill| bill.is_known());
        known.and_then(show).unwrap_or_else(|| "-".to_owned())
    }
}

fn cpu(nanos: u64) -> String {
    duration(Duration::from_nanos(nanos))
}

/// A column of numbers: its name, and what it says of a sum.
type Column = (String, fn(&Sum<'_>) -> String);

/// Columns behind those of names.
fn columns(cost: &Cost) -> Vec<Column> {
    let mut columns: Vec<Column> = vec![("CPU".to_owned(), |sum| cpu(sum.cpu_ns))];
    let is_compared = cost.avoidable_cpu_ns.is_some();
    if is_compared {
        columns.push(("AVOIDABLE".to_owned(), |sum| {
            sum.avoidable_cpu_ns.map_or_else(|| "-".to_owned(), cpu)
        }));
    }
    if cost.bill.is_none() {
        return columns;
    }
    columns.push(("MACHINES".to_owned(), |sum| {
        sum.of_bill(|bill| Some(duration(bill.machine_time)))
    }));
    columns.push(("UNPRICED".to_owned(), |sum| {
        sum.bill
            .map_or_else(|| "-".to_owned(), |bill| cpu(bill.unpriced_cpu_ns))
    }));
    columns.push((cost.currency.clone(), |sum| {
        sum.of_bill(|bill| Some(bill.cost.to_string()))
    }));
    if is_compared {
        columns.push((format!("AVOIDABLE {}", cost.currency), |sum| {
            sum.of_bill(|bill| Some(bill.avoidable?.to_string()))
        }));
    }
    columns
}
