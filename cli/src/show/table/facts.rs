//! Facts: one row each.

use std::time::{Duration, SystemTime};

use archtrace_facts::fact::{Cause, Fact, FactKey, Mode, Via};
use archtrace_facts::fleet::NodeFact;
use comfy_table::ContentArrangement;

use super::{Listing, binary, place};
use crate::show::Columns;
use crate::show::human::{age, count, duration, utc};

pub(crate) fn facts(facts: &[NodeFact], columns: Columns) -> String {
    let now = SystemTime::now();
    // A column that nobody has anything for would only be empty.
    let placed = facts.iter().any(|fact| !place(&fact.identity).is_empty());
    let imaged = facts.iter().any(|fact| !fact.identity.image.is_empty());
    // Nor is there a column for the usual way to an emulator.
    let unusual = columns == Columns::Emulated
        && facts.iter().any(|fact| {
            let via = fact.fact.key.via;
            via.is_some_and(|via| via != Via::BinfmtMisc)
        });
    let mut head = vec!["NODE"];
    head.extend(placed.then_some("POD OR UNIT"));
    head.extend(imaged.then_some("IMAGE"));
    head.extend(["BINARY", "ARCH"]);
    head.push(if columns == Columns::Emulated {
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
        row.push(match columns {
            Columns::Emulated => table.plain(key.emulator.as_deref().unwrap_or_default()),
            Columns::Facts => table.mode(key),
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

pub(crate) fn facts_wide(facts: &[NodeFact]) -> String {
    let head = [
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
    ];
    let mut table = Listing::new(&head, ContentArrangement::Disabled);
    for value in facts {
        let Fact {
            key,
            count: execs,
            processes,
            cpu_ns,
            first_seen,
            last_seen,
        } = &value.fact;
        let identity = &value.identity;
        table.add(vec![
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
        ]);
    }
    table.text()
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
