//! Events and losses: one row each.

use std::time::SystemTime;

use archtrace_facts::fact::FactKey;
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::{NamedEvent, Record};
use comfy_table::ContentArrangement;

use super::{Listing, binary};
use crate::show::human::{age, count, duration, errno, utc};

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
                table.plain(why(&event.key, event.errno)),
            ],
            Record::Loss(loss) => [
                table.plain(""),
                table.plain(""),
                table.plain(""),
                table.plain(""),
                table.plain(lost(&loss.stage, loss.count, loss.since, loss.until)),
            ],
        });
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
                table.plain(why(&event.key, event.errno)),
            ]),
            Record::Loss(loss) => {
                row.extend(["", "", "", ""].map(|text| table.plain(text)));
                row.push(table.kind(&value.record));
                row.extend(["", "", "", ""].map(|text| table.plain(text)));
                row.push(table.plain(lost(&loss.stage, loss.count, loss.since, loss.until)));
            }
        }
        table.add(row);
    }
    table.text()
}

fn why(key: &FactKey, error: i32) -> String {
    match (&key.emulator, key.cause) {
        (_, Some(cause)) => format!("{cause} ({})", errno(error)),
        (Some(emulator), None) => format!("by {emulator}"),
        (None, None) => String::new(),
    }
}

fn lost(stage: &str, number: u64, since: SystemTime, until: SystemTime) -> String {
    let span = duration(until.duration_since(since).unwrap_or_default());
    if number == 0 {
        return format!("{stage} for {span}");
    }
    format!("{stage}: {} within {span}", count(number))
}
