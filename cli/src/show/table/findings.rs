//! Findings: one row each.

use std::time::SystemTime;

use archtrace_facts::fleet::{FleetFinding, SubjectKind};
use comfy_table::ContentArrangement;

use super::Listing;
use crate::show::human::{age, count, utc};

pub(crate) fn findings(findings: &[FleetFinding]) -> String {
    let now = SystemTime::now();
    let head = [
        "SEVERITY",
        "FINDING",
        "WHERE",
        "BINARY",
        "ARCH",
        ">NODES",
        ">ALIVE",
        "LAST SEEN",
    ];
    let mut table = Listing::new(&head, ContentArrangement::Dynamic);
    for finding in findings {
        table.add(vec![
            table.severity(Some(finding.severity)),
            table.plain(&finding.id),
            table.plain(subject(finding)),
            table.plain(&finding.binary),
            table.plain(&finding.arch),
            table.number(count(finding.nodes)),
            table.number(count(finding.processes)),
            table.plain(
                finding
                    .last_seen
                    .map_or(String::new(), |seen| age(seen, now)),
            ),
        ]);
    }
    table.text()
}

pub(crate) fn findings_wide(findings: &[FleetFinding]) -> String {
    let head = [
        "SEVERITY",
        "FINDING",
        "WHAT",
        "CLUSTER",
        "NAMESPACE",
        "KIND",
        "SUBJECT",
        "BINARY",
        "ARCH",
        "EMULATOR",
        ">NODES",
        "SUCH AS",
        ">EVIDENCE",
        ">ALIVE",
        "FIRST SEEN",
        "LAST SEEN",
    ];
    let mut table = Listing::new(&head, ContentArrangement::Disabled);
    let time = |time: Option<SystemTime>| time.map_or(String::new(), utc);
    for finding in findings {
        table.add(vec![
            table.severity(Some(finding.severity)),
            table.plain(&finding.id),
            table.plain(&finding.title),
            table.plain(&finding.cluster),
            table.plain(&finding.namespace),
            table.plain(finding.subject_kind),
            table.plain(&finding.subject),
            table.plain(&finding.binary),
            table.plain(&finding.arch),
            table.plain(&finding.emulator),
            table.number(count(finding.nodes)),
            table.plain(finding.node_names.join(",")),
            table.number(count(finding.evidence)),
            table.number(count(finding.processes)),
            table.plain(time(finding.first_seen)),
            table.plain(time(finding.last_seen)),
        ]);
    }
    table.text()
}

/// What a finding is about, in one word where its kind is clear.
fn subject(finding: &FleetFinding) -> String {
    let FleetFinding {
        namespace,
        subject,
        subject_kind,
        ..
    } = finding;
    match subject_kind {
        SubjectKind::Workload | SubjectKind::Pod if !namespace.is_empty() => {
            format!("{namespace}/{subject}")
        }
        SubjectKind::Node => format!("node {subject}"),
        SubjectKind::Image => format!("image {subject}"),
        SubjectKind::Workload | SubjectKind::Pod | SubjectKind::Unit => subject.clone(),
    }
}
