//! Findings over all nodes.

use archtrace_facts::fleet::FleetFinding;

use crate::convert::{ConvertError, some_time, to_text, to_texts, to_word};
use crate::v1;

impl From<&FleetFinding> for v1::Finding {
    fn from(finding: &FleetFinding) -> Self {
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
            emulator,
            nodes,
            node_names,
            evidence,
            processes,
            first_seen,
            last_seen,
        } = finding.clone();
        Self {
            id,
            severity: severity.to_string(),
            title,
            cluster,
            namespace,
            subject,
            subject_kind: subject_kind.to_string(),
            binary,
            arch,
            emulator,
            nodes,
            node_names,
            evidence,
            processes,
            first_seen: first_seen.map(Into::into),
            last_seen: last_seen.map(Into::into),
        }
    }
}

impl TryFrom<v1::Finding> for FleetFinding {
    type Error = ConvertError;

    fn try_from(finding: v1::Finding) -> Result<Self, ConvertError> {
        let v1::Finding {
            id,
            severity,
            title,
            cluster,
            namespace,
            subject,
            subject_kind,
            binary,
            arch,
            emulator,
            nodes,
            node_names,
            evidence,
            processes,
            first_seen,
            last_seen,
        } = finding;
        Ok(Self {
            id: to_text("id", id)?,
            severity: to_word("severity", &severity)?,
            title: to_text("title", title)?,
            cluster: to_text("cluster", cluster)?,
            namespace: to_text("namespace", namespace)?,
            subject: to_text("subject", subject)?,
            subject_kind: to_word("subject_kind", &subject_kind)?,
            binary: to_text("binary", binary)?,
            arch: to_text("arch", arch)?,
            emulator: to_text("emulator", emulator)?,
            nodes,
            node_names: to_texts("node_names", node_names)?,
            evidence,
            processes,
            first_seen: some_time("first_seen", first_seen)?,
            last_seen: some_time("last_seen", last_seen)?,
        })
    }
}
