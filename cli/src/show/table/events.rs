//! Events, losses and changes of handlers: one row each.

use std::time::SystemTime;

use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::{HandlerChange, Record};
use archtrace_facts::sentence::sentence;
use comfy_table::{Cell, ContentArrangement};

use super::{Columns, Listing, binary, place};
use crate::show::human::{age, count, utc};

pub(crate) fn events(events: &[NodeEvent]) -> String {
    let now = SystemTime::now();
    // A column that nobody has anything for would only be empty.
    let placed = events
        .iter()
        .any(|event| !place(&event.identity).is_empty());
    let mut table = Listing::new(&head("WHEN", placed), ContentArrangement::Dynamic);
    for value in events {
        let when = age(value.record.time(), now);
        let row = row(&table, value, when, placed);
        table.add(row);
    }
    table.text()
}

/// What came up since the last time, below what was printed then.
pub(crate) fn more_events(events: &[NodeEvent], columns: &mut Columns) -> String {
    let mut table = Listing::new(&head("TIME", true), ContentArrangement::Disabled);
    for value in events {
        let row = row(&table, value, utc(value.record.time()), true);
        table.add(row);
    }
    table.below(columns)
}

/// The same, with every column.
pub(crate) fn more_events_wide(events: &[NodeEvent], columns: &mut Columns) -> String {
    wide(events).below(columns)
}

fn head(when: &'static str, placed: bool) -> Vec<&'static str> {
    let mut head = vec![when, "NODE"];
    head.extend(placed.then_some("POD OR UNIT"));
    head.extend(["KIND", ">PID", "COMM", "BINARY", "ARCH", "WHY"]);
    head
}

fn row(table: &Listing, value: &NodeEvent, when: String, placed: bool) -> Vec<Cell> {
    let mut row = vec![table.plain(when), table.plain(&value.node)];
    row.extend(placed.then(|| table.plain(place(&value.identity))));
    row.push(table.kind(&value.record));
    row.extend(match &value.record {
        Record::Event(event) => [
            table.number(event.pid.to_string()),
            table.plain(&event.comm),
            table.plain(binary(&event.key)),
            table.plain(event.key.arch),
        ],
        other => ["", "", "", &claimed(other)].map(|text| table.plain(text)),
    });
    row.push(table.plain(sentence(value)));
    row
}

pub(crate) fn events_wide(events: &[NodeEvent]) -> String {
    wide(events).text()
}

fn wide(events: &[NodeEvent]) -> Listing {
    let head = [
        "TIME",
        "CLUSTER",
        "NODE",
        "NAMESPACE",
        "POD",
        "CONTAINER",
        "IMAGE",
        "UNIT",
        "CGROUP",
        "KIND",
        ">PID",
        "COMM",
        "BINARY",
        "ARCH",
        ">SO FAR",
        "WHY",
    ];
    let mut table = Listing::new(&head, ContentArrangement::Disabled);
    for value in events {
        let mut row = vec![
            table.plain(utc(value.record.time())),
            table.plain(&value.cluster),
            table.plain(&value.node),
        ];
        match &value.record {
            Record::Event(event) => row.extend([
                table.plain(&value.identity.namespace),
                table.plain(&value.identity.pod),
                table.plain(&value.identity.container),
                table.plain(&value.identity.image),
                table.plain(&value.identity.unit),
                table.plain(&event.key.cgroup),
                table.kind(&value.record),
                table.number(event.pid.to_string()),
                table.plain(&event.comm),
                table.plain(binary(&event.key)),
                table.plain(event.key.arch),
                table.number(count(event.count)),
            ]),
            other => {
                row.extend([""; 6].map(|text| table.plain(text)));
                row.push(table.kind(&value.record));
                row.extend(["", "", "", &claimed(other), ""].map(|text| table.plain(text)));
            }
        }
        row.push(table.plain(sentence(value)));
        table.add(row);
    }
    table
}

/// The machine whose files a handler claims.
fn claimed(record: &Record) -> String {
    match record {
        Record::Handler(HandlerChange { handler, .. }) => {
            handler.arch.map_or(String::new(), |arch| arch.to_string())
        }
        Record::Event(_) | Record::Loss(_) => String::new(),
    }
}
