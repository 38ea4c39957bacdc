//! Facts: one row each.

use std::time::{Duration, SystemTime};

use archtrace_facts::fact::{Cause, Fact, FactKey, Mode, Via};
use archtrace_facts::fleet::NodeFact;
use comfy_table::{Cell, ContentArrangement};

use super::{Columns, Listing, binary, place};
use crate::show::human::{age, count, duration, utc};
use crate::show::{Change, Kind};

pub(crate) fn facts(facts: &[NodeFact], kind: Kind) -> String {
    let now = SystemTime::now();
    // A column that nobody has anything for would only be empty.
    let placed = facts.iter().any(|fact| !place(&fact.identity).is_empty());
    let imaged = facts.iter().any(|fact| !fact.identity.image.is_empty());
    // Nor is there a column for the usual way to an emulator.
    let unusual = kind == Kind::Emulated
        && facts.iter().any(|fact| {
            let via = fact.fact.key.via;
            via.is_some_and(|via| via != Via::BinfmtMisc)
        });
    let mut head = vec!["NODE"];
    head.extend(placed.then_some("POD OR UNIT"));
    head.extend(imaged.then_some("IMAGE"));
    head.extend(["BINARY", "ARCH"]);
    head.push(if kind == Kind::Emulated {
        "EMULATOR"
    } else {
        "MODE"
    });
    head.extend(unusual.then_some("VIA"));
    head.extend([">EXECS", ">ALIVE", ">CPU", "FIRST SEEN", "LAST SEEN"]);
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for value in facts {
        let Fact {
            key,
            count: execs,
            processes,
            cpu_ns,
            first_seen,
            last_seen,
        } = &value.fact;
        let mut row = vec![table.plain(&value.node)];
        row.extend(placed.then(|| table.plain(place(&value.identity))));
        row.extend(imaged.then(|| table.plain(&value.identity.image)));
        row.extend([table.plain(binary(key)), table.plain(key.arch)]);
        row.push(match kind {
            Kind::Emulated => table.plain(key.emulator.as_deref().unwrap_or_default()),
            Kind::Facts => table.mode(key),
        });
        row.extend(unusual.then(|| table.plain(way(key))));
        row.extend([
            table.number(count(*execs)),
            table.number(count(*processes)),
            table.number(cpu(key, *cpu_ns)),
            table.plain(age(*first_seen, now)),
            table.plain(age(*last_seen, now)),
        ]);
        table.add(row);
    }
    table.text()
}

const WIDE: [&str; 23] = [
    "CLUSTER",
    "NODE",
    "NODE ARCH",
    "NAMESPACE",
    "POD",
    "CONTAINER",
    "WORKLOAD",
    "IMAGE",
    "IMAGE ARCH",
    "UNIT",
    "CGROUP",
    "BINARY",
    "ARCH",
    "MODE",
    "EMULATOR",
    "VIA",
    "CAUSE",
    ">EXECS",
    ">ALIVE",
    ">CPU",
    "FIRST SEEN",
    "LAST SEEN",
    "ENDED",
];

pub(crate) fn facts_wide(facts: &[NodeFact]) -> String {
    let mut table = Listing::new(&WIDE, ContentArrangement::Disabled);
    for value in facts {
        let row = wide(&table, value);
        table.add(row);
    }
    table.text()
}

/// Facts that changed, below those that did before.
pub(crate) fn changes(facts: &[(Change, NodeFact)], columns: &mut Columns) -> String {
    let head = [
        "TIME",
        "",
        "NODE",
        "POD OR UNIT",
        "BINARY",
        "ARCH",
        "MODE",
        ">EXECS",
        ">ALIVE",
        ">CPU",
    ];
    let mut table = Listing::new(&head, ContentArrangement::Disabled);
    for (change, value) in facts {
        let Fact {
            key,
            count: execs,
            processes,
            cpu_ns,
            ..
        } = &value.fact;
        table.add(vec![
            table.plain(utc(value.fact.last_seen)),
            table.plain(change.sign()),
            table.plain(&value.node),
            table.plain(place(&value.identity)),
            table.plain(binary(key)),
            table.plain(key.arch),
            table.mode(key),
            table.number(count(*execs)),
            table.number(count(*processes)),
            table.number(cpu(key, *cpu_ns)),
        ]);
    }
    table.below(columns)
}

/// The same, with every column.
pub(crate) fn changes_wide(facts: &[(Change, NodeFact)], columns: &mut Columns) -> String {
    let head: Vec<_> = [""].into_iter().chain(WIDE).collect();
    let mut table = Listing::new(&head, ContentArrangement::Disabled);
    for (change, value) in facts {
        let mut row = vec![table.plain(change.sign())];
        row.extend(wide(&table, value));
        table.add(row);
    }
    table.below(columns)
}

fn wide(table: &Listing, value: &NodeFact) -> Vec<Cell> {
    let Fact {
        key,
        count: execs,
        processes,
        cpu_ns,
        first_seen,
        last_seen,
    } = &value.fact;
    let identity = &value.identity;
    vec![
        table.plain(&value.cluster),
        table.plain(&value.node),
        table.plain(value.node_arch),
        table.plain(&identity.namespace),
        table.plain(&identity.pod),
        table.plain(&identity.container),
        table.plain(&identity.workload),
        table.plain(&identity.image),
        table.plain(
            identity
                .image_arch
                .map_or(String::new(), |arch| arch.to_string()),
        ),
        table.plain(&identity.unit),
        table.plain(&key.cgroup),
        table.plain(binary(key)),
        table.plain(key.arch),
        table.mode(key),
        table.plain(key.emulator.as_deref().unwrap_or_default()),
        table.plain(way(key)),
        table.plain(key.cause.map_or("", Cause::as_str)),
        table.number(count(*execs)),
        table.number(count(*processes)),
        table.number(cpu(key, *cpu_ns)),
        table.plain(utc(*first_seen)),
        table.plain(utc(*last_seen)),
        table.plain(if value.ended { "yes" } else { "" }),
    ]
}

fn way(key: &FactKey) -> &'static str {
    key.via.map_or("", Via::as_str)
}

/// CPU time is measured of emulated tasks only.
fn cpu(key: &FactKey, nanos: u64) -> String {
    if key.mode == Mode::Emulated {
        duration(Duration::from_nanos(nanos))
    } else {
        "-".to_owned()
    }
}
