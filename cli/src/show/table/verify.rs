//! Whether pods run natively: the answer first, then what speaks against it.

use std::fmt::Write as _;

use archtrace_facts::gate::{Verdict, Why};
use comfy_table::ContentArrangement;

use super::{Listing, binary, place};
use crate::show::human::{count, duration};
use crate::show::verify::Verified;

pub(crate) fn verified(value: &Verified<'_>) -> String {
    let Verified {
        wanted,
        report,
        watched,
        ..
    } = value;
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
    if !report.not_native.is_empty() {
        let _ = write!(text, "\n{}", list(value));
    }
    if value.left_out() > 0 {
        let _ = writeln!(text, "and {} more", value.left_out());
    }
    text
}

fn list(value: &Verified<'_>) -> String {
    let head = ["POD", "NODE", "BINARY", "ARCH", "MODE", "WHY"];
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for (why, fact) in value.listed() {
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
        table.add(vec![
            table.plain(place(&fact.identity)),
            table.plain(&fact.node),
            table.plain(binary(key)),
            table.plain(key.arch),
            table.mode(key),
            table.plain(reason),
        ]);
    }
    table.text()
}
