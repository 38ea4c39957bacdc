//! Whether pods run natively: the answer first, then what speaks against it.

use std::fmt::Write as _;

use archtrace_facts::fact::FactKey;
use archtrace_facts::gate::{Report, Verdict, Verified, Wanted, Why};
use archtrace_facts::identity::Identity;
use archtrace_facts::report::Record;
use archtrace_facts::sentence::sentence;
use comfy_table::{Cell, ContentArrangement};

use super::{Listing, binary, place};
use crate::show::human::{count, duration};

pub(crate) fn verified(wanted: &Wanted, verified: &Verified) -> String {
    let Verified {
        report, watched, ..
    } = verified;
    let pods = format!(
        "{} pod(s) of namespace {}",
        count(report.pods),
        wanted.namespace
    );
    let during = format!("watched for {}", duration(*watched));
    // Writing to a String cannot fail.
    let mut text = match report.verdict {
        Verdict::Native => format!(
            "native: every process of {pods} is native on {}; {during}\n",
            wanted.arch
        ),
        Verdict::NotNative => format!(
            "not_native: {} of {pods} run natively on {}; {during}\n",
            count(report.native_pods),
            wanted.arch
        ),
        Verdict::Unknown => format!(
            "unknown: of {pods} nothing was seen that is not native on {}, but that is not all; {during}\n",
            wanted.arch
        ),
    };
    for doubt in &report.doubts {
        let _ = writeln!(text, "not known: {} ({})", doubt.what, doubt.kind);
    }
    if report.more_doubts > 0 {
        let _ = writeln!(text, "not known: {} more", count(report.more_doubts));
    }
    if !report.not_native.is_empty() || !report.died.is_empty() {
        let _ = write!(text, "\n{}", list(report));
    }
    let more = report.more_not_native.saturating_add(report.more_died);
    if more > 0 {
        let _ = writeln!(text, "and {} more", count(more));
    }
    text
}

fn list(report: &Report) -> String {
    let head = ["POD", "NODE", "BINARY", "ARCH", "MODE", "WHY"];
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for (why, fact) in &report.not_native {
        let key = &fact.fact.key;
        let reason = match why {
            Why::Emulated => format!("by {}", key.emulator.as_deref().unwrap_or("an emulator")),
            Why::Failed => key
                .cause
                .map_or("refused", |cause| cause.as_str())
                .to_owned(),
            Why::Compat => "in the CPU's 32-bit mode".to_owned(),
            Why::OtherArch => format!("on a node that is {}", fact.node_arch),
        };
        let row = row(&table, &fact.identity, &fact.node, key, reason);
        table.add(row);
    }
    for event in &report.died {
        let Record::Event(what) = &event.record else {
            continue;
        };
        let reason = match &what.instruction {
            Some(_) => format!("died of SIGILL: {}", sentence(event)),
            None => sentence(event),
        };
        let row = row(&table, &event.identity, &event.node, &what.key, reason);
        table.add(row);
    }
    table.text()
}

fn row(
    table: &Listing,
    identity: &Identity,
    node: &str,
    key: &FactKey,
    reason: String,
) -> Vec<Cell> {
    vec![
        table.plain(place(identity)),
        table.plain(node),
        table.plain(binary(key)),
        table.plain(key.arch),
        table.mode(key),
        table.plain(reason),
    ]
}
