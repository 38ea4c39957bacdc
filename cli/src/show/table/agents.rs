//! Mandated agents: one row for each and each node, and below how many there are of what.

use std::time::SystemTime;

use archtrace_facts::coverage::{Outcome, Row, Status, Total};
use comfy_table::{Cell, Color, ContentArrangement};

use super::Listing;
use crate::client::Agents;
use crate::show::human::{age, count, utc};

/// What it was before is told that often in a row; the rest is in JSON.
const PAST: usize = 3;

pub(crate) fn agents(agents: &Agents, history: bool) -> String {
    let now = SystemTime::now();
    let mut head = vec!["AGENT", "NODE", "ARCH", "STATUS", "SINCE", "WHERE", "WHY"];
    head.extend(history.then_some("BEFORE"));
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for row in &agents.rows {
        let mut cells = vec![
            table.plain(&row.place.agent),
            table.plain(&row.place.node),
            table.plain(row.node_arch),
            status(&table, row.status),
            table.plain(row.since.map_or(String::new(), |since| age(since, now))),
            table.plain(place(row)),
            table.plain(why(row)),
        ];
        cells.extend(history.then(|| table.plain(before(row, now))));
        table.add(cells);
    }
    let rows = if agents.rows.is_empty() {
        String::new()
    } else {
        table.text() + "\n"
    };
    rows + &totals(&agents.totals)
}

pub(crate) fn agents_wide(agents: &Agents, history: bool) -> String {
    let now = SystemTime::now();
    let mut head = vec![
        "AGENT",
        "CLUSTER",
        "NODE",
        "ARCH",
        "STATUS",
        "SINCE",
        "NAMESPACE",
        "POD",
        "WORKLOAD",
        "UNIT",
        "BINARY",
        "IMAGE",
        "SEEN",
        "WHY",
    ];
    head.extend(history.then_some("BEFORE"));
    let mut table = Listing::new(&head, ContentArrangement::Disabled);
    let time = |time: Option<SystemTime>| time.map_or(String::new(), utc);
    for row in &agents.rows {
        let mut cells = vec![
            table.plain(&row.place.agent),
            table.plain(&row.place.cluster),
            table.plain(&row.place.node),
            table.plain(row.node_arch),
            status(&table, row.status),
            table.plain(time(row.since)),
            table.plain(&row.namespace),
            table.plain(&row.pod),
            table.plain(&row.workload),
            table.plain(&row.unit),
            table.plain(&row.binary),
            table.plain(&row.image),
            table.plain(time(row.seen)),
            table.plain(why(row)),
        ];
        cells.extend(history.then(|| table.plain(before(row, now))));
        table.add(cells);
    }
    table.text()
}

fn status(table: &Listing, status: Status) -> Cell {
    let cell = Cell::new(status);
    match status.outcome() {
        Outcome::Fine => table.colour(cell, Color::Green),
        Outcome::Violated => table.colour(cell, Color::Red),
        Outcome::NotKnown => table.colour(cell, Color::Magenta),
    }
}

/// A pod, or a unit.
fn place(row: &Row) -> String {
    if row.pod.is_empty() {
        return row.unit.clone();
    }
    format!("{}/{}", row.namespace, row.pod)
}

/// And what became of its waiver.
fn why(row: &Row) -> String {
    let Some(waiver) = &row.waiver else {
        return row.reason.clone();
    };
    let ends = utc(waiver.expires);
    match row.waived {
        Some(status) => format!(
            "{status}: {}; waived until {ends} by {}: {}",
            row.reason, waiver.owner, waiver.reason
        ),
        None => format!(
            "{}; the waiver of {} expired {ends}",
            row.reason, waiver.owner
        ),
    }
}

fn before(row: &Row, now: SystemTime) -> String {
    let past = row.past.iter().take(PAST);
    let words = past.map(|past| format!("{} until {}", past.status, age(past.until, now)));
    words.collect::<Vec<_>>().join(", ")
}

fn totals(totals: &[Total]) -> String {
    let mut head = vec!["AGENT".to_owned(), ">NODES".to_owned()];
    head.extend(Status::ALL.iter().map(|status| format!(">{status}")));
    let head: Vec<_> = head.iter().map(String::as_str).collect();
    let mut table = Listing::new(&head, ContentArrangement::Disabled);
    let mut rest = totals;
    while let Some(first) = rest.first() {
        let of_agent = rest.iter().take_while(|total| total.agent == first.agent);
        let (of_agent, others) = rest.split_at(of_agent.count());
        let on = |status: Status| {
            let total = of_agent.iter().find(|total| total.status == status);
            total.map_or(0, |total| total.nodes)
        };
        let all = of_agent.iter().map(|total| total.nodes).sum();
        let numbers = [all]
            .into_iter()
            .chain(Status::ALL.iter().map(|status| on(*status)));
        let mut cells = vec![table.plain(&first.agent)];
        cells.extend(numbers.map(|number| table.number(count(number))));
        table.add(cells);
        rest = others;
    }
    if totals.is_empty() {
        return String::new();
    }
    table.text()
}
