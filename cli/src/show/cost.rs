//! What a cost is made of, and what is not in it.

use std::time::Duration;

use archtrace_facts::cost::{Cost, Slowdown};

use super::human::{count, duration};

/// Names in one line; the rest is counted.
const NAMES: usize = 10;

/// A line for each reason why CPU time is not in the cost; nothing if all is, or nobody asked for money.
pub(crate) fn unpriced(cost: &Cost) -> Vec<String> {
    let lines = cost.without_price().map(|share| {
        let time = duration(Duration::from_nanos(share.cpu_ns));
        let nodes = count(share.nodes);
        if share.instance_type.is_empty() {
            let names = names(&cost.untyped_nodes, share.nodes);
            format!(
                "not in the cost: {time} on {nodes} node(s) of which it is not known what machines they \
                 are{names}"
            )
        } else {
            format!(
                "not in the cost: {time} on {nodes} node(s) of type {}, which has no price in the table",
                share.instance_type
            )
        }
    });
    lines.collect()
}

fn names(names: &[String], all: u64) -> String {
    let mut shown: Vec<_> = names.iter().take(NAMES).cloned().collect();
    let left_out = all.saturating_sub(shown.len() as u64);
    if shown.is_empty() {
        return String::new();
    }
    if left_out > 0 {
        shown.push(format!("and {} more", count(left_out)));
    }
    format!(" ({})", shown.join(", "))
}

/// What the numbers stand on.
pub(crate) fn assumptions(cost: &Cost, slowdown: Option<Slowdown>) -> Vec<String> {
    let mut lines = Vec::new();
    if cost.bill.is_some() {
        lines.push(
            "a CPU second costs the price of its machine's hour / its CPUs / 3,600".to_owned(),
        );
        let known = cost.shares.iter().filter_map(|share| {
            let second = share.price?.cpu_second;
            let (kind, currency) = (&share.instance_type, &cost.currency);
            Some(format!("on {kind}: {second} {currency}"))
        });
        lines.extend(known);
    }
    lines.push(match slowdown {
        Some(factor) => format!(
            "emulation takes {factor} times as long as native execution (--slowdown): avoidable is what \
             the latter would not have used"
        ),
        None => "all CPU time under emulation is told; what native execution would have used is not \
                 taken off (--slowdown FACTOR does)"
            .to_owned(),
    });
    lines
}
