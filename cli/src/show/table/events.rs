//! Events, losses and changes of handlers: one row each.

use std::time::SystemTime;

use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::{HandlerChange, NamedEvent, Record};
use comfy_table::ContentArrangement;

use super::{Listing, binary};
use crate::show::human::{age, count, utc};
use crate::show::words;

pub(crate) fn events(events: &[NodeEvent]) -> String {
    let now = SystemTime::now();
    let head = [
        "WHEN", "NODE", "KIND", ">PID", "COMM", "BINARY", "ARCH", "WHY",
    ];
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for value in events {
        let mut row = vec![
            table.plain(age(value.record.time(), now)),
            table.plain(&value.node),
            table.kind(&value.record),
        ];
        row.extend(match &value.record {
            Record::Event(NamedEvent { event, .. }) => [
                table.number(event.pid.to_string()),
                table.plain(&event.comm),
                table.plain(binary(&event.key)),
                table.plain(event.key.arch),
            ],
            other => ["", "", "", &claimed(other)].map(|text| table.plain(text)),
        });
        row.push(table.plain(words::sentence(&value.record)));
        table.add(row);
    }
    table.text()
}

pub(crate) fn events_wide(events: &[NodeEvent]) -> String {
    let head = [
        "TIME",
        "CLUSTER",
        "NODE",
        "NAMESPACE",
        "POD",
        "CONTAINER",
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
            Record::Event(NamedEvent { event, names }) => row.extend([
                table.plain(&names.namespace),
                table.plain(&names.pod),
                table.plain(&names.container),
                table.plain(&event.key.cgroup),
                table.kind(&value.record),
                table.number(event.pid.to_string()),
                table.plain(&event.comm),
                table.plain(binary(&event.key)),
                table.plain(event.key.arch),
                table.number(count(event.count)),
            ]),
            other => {
                row.extend(["", "", "", ""].map(|text| table.plain(text)));
                row.push(table.kind(&value.record));
                row.extend(["", "", "", &claimed(other), ""].map(|text| table.plain(text)));
            }
        }
        row.push(table.plain(words::sentence(&value.record)));
        table.add(row);
    }
    table.text()
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
