//! What somebody should act on.

use std::time::SystemTime;

use archtrace_facts::finding::{Entry, Id};
use archtrace_facts::fleet::{FleetFinding, SubjectKind};
use archtrace_facts::human::count;

use super::{Name, When};
use crate::link;

/// A finding, and what the catalogue says of it.
pub(crate) struct FindingRow {
    pub(crate) severity: &'static str,
    pub(crate) title: String,
    /// `None` of one that only a newer collector knows.
    pub(crate) entry: Option<&'static Entry>,
    pub(crate) namespace: String,
    pub(crate) subject: Name,
    pub(crate) kind: &'static str,
    pub(crate) binary: String,
    pub(crate) arch: String,
    pub(crate) nodes: String,
    pub(crate) alive: String,
    pub(crate) last: Option<When>,
}

impl FindingRow {
    pub(crate) fn new(finding: &FleetFinding, now: SystemTime) -> Self {
        let FleetFinding {
            id,
            severity,
            title,
            cluster,
            namespace,
            subject,
            subject_kind,
            binary,
            arch,
            emulator: _,
            nodes,
            node_names,
            evidence: _,
            processes,
            first_seen: _,
            last_seen,
        } = finding;
        // What belongs to no pod is looked at where it is, if that is one node.
        let of_node = match node_names.as_slice() {
            [node] if *nodes == 1 => link::node(cluster, node),
            _ => String::new(),
        };
        let link = match subject_kind {
            SubjectKind::Workload => link::workload(cluster, namespace, subject),
            SubjectKind::Node => link::node(cluster, subject),
            SubjectKind::Pod | SubjectKind::Unit | SubjectKind::Image => of_node,
        };
        Self {
            severity: severity.as_str(),
            title: title.clone(),
            entry: id.parse().ok().and_then(Id::entry),
            namespace: namespace.clone(),
            subject: Name {
                name: subject.clone(),
                link,
            },
            kind: subject_kind.as_str(),
            binary: binary.clone(),
            arch: arch.clone(),
            nodes: count(*nodes),
            alive: count(*processes),
            last: last_seen.map(|last| When::new(last, now)),
        }
    }
}
