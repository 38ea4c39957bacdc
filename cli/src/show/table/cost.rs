//! What emulation costs: one row for each combination, and what the numbers stand on.

use std::fmt::Write as _;
use std::time::Duration;

use archtrace_facts::cost::{Bill, Cost, CostDimension, Share};
use archtrace_facts::fleet::Coverage;
use comfy_table::ContentArrangement;

use super::Listing;
use crate::show::Pricing;
use crate::show::cost::assumptions;
use crate::show::human::{count, duration, utc};

pub(crate) fn cost(
    cost: &Cost,
    by: &[CostDimension],
    coverage: &Coverage,
    pricing: Pricing<'_>,
) -> String {
    let mut head: Vec<_> = by
        .iter()
        .map(|by| by.as_str().to_ascii_uppercase())
        .collect();
    head.extend(numbers(pricing).map(|(name, _)| format!(">{name}")));
    let head: Vec<_> = head.iter().map(String::as_str).collect();
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for row in &cost.rows {
        let known = |value: &String| match value.as_str() {
            "" => table.plain("-"),
            value => table.plain(value),
        };
        let mut cells: Vec<_> = row.values.iter().map(known).collect();
        let numbers = numbers(pricing);
        cells.extend(numbers.map(|(_, number)| table.number(number(row.cpu_ns, &row.shares))));
        table.add(cells);
    }
    let mut text = table.text();
    // Writing to a String cannot fail.
    if cost.more_rows > 0 {
        let _ = writeln!(text, "and {} more row(s)", count(cost.more_rows));
    }
    let total: Vec<_> = numbers(pricing)
        .map(|(name, number)| {
            let number = number(cost.cpu_ns(), &cost.shares);
            format!("{name} {number}")
        })
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
    for line in assumptions(cost, pricing) {
        let _ = writeln!(text, "assumed: {line}");
    }
    text
}

/// A number made of CPU time and its shares.
type Number<'a> = Box<dyn Fn(u64, &[Share]) -> String + 'a>;

/// What nothing is known of is not 0.
fn of_bill(bill: &Bill, show: impl Fn(&Bill) -> String) -> String {
    if bill.is_known() {
        show(bill)
    } else {
        "-".to_owned()
    }
}

/// Columns behind those of names.
fn numbers(
    Pricing { prices, slowdown }: Pricing<'_>,
) -> impl Iterator<Item = (String, Number<'_>)> {
    let mut columns: Vec<(String, Number<'_>)> = Vec::new();
    columns.push((
        "CPU".to_owned(),
        Box::new(|cpu_ns, _| duration(Duration::from_nanos(cpu_ns))),
    ));
    if let Some(factor) = slowdown {
        columns.push((
            "AVOIDABLE".to_owned(),
            Box::new(move |cpu_ns, _| duration(Duration::from_nanos(factor.avoidable_cpu(cpu_ns)))),
        ));
    }
    if let Some(prices) = prices {
        columns.push((
            "MACHINES".to_owned(),
            Box::new(|_, shares| of_bill(&prices.bill(shares), |bill| duration(bill.machine_time))),
        ));
        columns.push((
            "UNPRICED".to_owned(),
            Box::new(|_, shares| {
                duration(Duration::from_nanos(prices.bill(shares).unpriced_cpu_ns))
            }),
        ));
        columns.push((
            prices.currency.clone(),
            Box::new(|_, shares| of_bill(&prices.bill(shares), |bill| bill.cost.to_string())),
        ));
        if let Some(factor) = slowdown {
            columns.push((
                format!("AVOIDABLE {}", prices.currency),
                Box::new(move |_, shares| {
                    let avoidable = |bill: &Bill| factor.avoidable(bill.cost).to_string();
                    of_bill(&prices.bill(shares), avoidable)
                }),
            ));
        }
    }
    columns.into_iter()
}
