//! The portability matrix: may a workload move to another architecture?
//!
//! A workload has rows of five layers. Each says what was seen of it, and what follows:
//!
//! - [`Status::Pass`]: it was seen to work there, by an agent that still reports;
//! - [`Status::Fix`]: something that was seen would not work there, or does not even here;
//! - [`Status::Gate`]: neither was seen. Somebody has to look first: nothing passes unseen;
//! - [`Status::Waived`]: it does not work, and somebody took that upon them (agents only).
//!
//! | layer | passes if | module |
//! |---|---|---|
//! | runtime | its processes ran natively on nodes of that architecture, and nothing else did | `runtime` |
//! | image | a variant for it was pulled, is what it claims, and its registry does not lack it | `image` |
//! | native dependencies | all files of that variant were looked at, and none is foreign | `dependencies` |
//! | sidecars | all of this holds for the other containers of its pods | `sidecar` |
//! | agents | what policy mandates on each node is there | `agents` |

mod agents;
mod dependencies;
mod image;
pub mod images;
mod mandated;
mod runtime;
pub mod seen;
mod sidecar;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use crate::arch::Arch;
use crate::fact::words;
use crate::finding::{Id, Severity};
use crate::registry::Check;
pub use images::Images;
pub use mandated::mandated;
pub use seen::Seen;

words! {
    /// What follows from a row; the worst is the greatest.
    Status, "status" {
        /// It was seen to work.
        Pass = "PASS",
        /// It does not work, and somebody took that upon them.
        Waived = "WAIVED",
        /// Nobody saw whether it works.
        Gate = "GATE",
        /// It would not work.
        Fix = "FIX",
    }
}

words! {
    /// What a row is about.
    Layer, "layer" {
        /// How its processes ran.
        Runtime = "runtime",
        /// Which platforms its images are for.
        Image = "image",
        /// Files of its images that are native code.
        Dependencies = "native_dependencies",
        /// The other containers of its pods.
        Sidecars = "sidecars",
        /// What policy mandates on each node.
        Agents = "agents",
    }
}

words! {
    /// What shows something.
    EvidenceKind, "kind of evidence" {
        /// A binary, as it ran in a container.
        Fact = "fact",
        /// Something that happened once.
        Event = "event",
        /// An image, by what it claims.
        Image = "image",
        /// A file of an image.
        File = "file",
        /// What is said of an agent on a node.
        Agent = "agent",
    }
}

/// What is known of a workload's portability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Cluster of its nodes; may be empty.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Kind and name, such as `Deployment/api`; empty for pods of which nobody knows what they belong to.
    pub workload: String,
    /// The worst of its rows.
    pub status: Status,
    /// In the order of layers, and within these the worst first. There is one of each layer at least.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub layer: Layer,
    /// Of which: a container, an image, an agent; empty if there is none.
    pub component: String,
    /// What follows.
    pub status: Status,
    /// Why, as a sentence without a full stop.
    pub why: String,
    /// What to do next; empty if nothing.
    pub action: String,
    /// What it is in the catalogue of findings, as a text so that those of a newer collector can be shown;
    /// empty if it is none.
    pub finding: String,
    /// What shows it; [`Row::EVIDENCE`] at most.
    pub evidence: Vec<Evidence>,
    /// How much more of that there is.
    pub more_evidence: u64,
}

/// What shows something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What kind of thing it is.
    pub kind: EvidenceKind,
    /// The binary, the image, or the path of the file.
    pub what: String,
    /// Its instruction set, if that is known.
    pub arch: Option<Arch>,
    /// An example of the nodes it is on; empty if that is not known.
    pub node: String,
    /// How it ran, or why it matters: `native`, `emulated by /usr/bin/qemu-x86_64`, `jar_entry`.
    pub detail: String,
    /// When it was last seen.
    pub seen: Option<SystemTime>,
}

impl Row {
    /// What is shown of each row: who has seen ten knows what to look for.
    pub const EVIDENCE: usize = 10;
}

/// What is known of a reference that pods ask for, from its registry; nothing if nobody asks registries.
pub type Registry<'a> = dyn Fn(&str) -> Option<Arc<Check>> + 'a;

/// What follows from all that was seen of a workload, if it is to run on `arch`.
///
/// `agents` are rows of the layer [`Layer::Agents`], made by whoever knows the policy: none if nobody
/// does.
#[must_use]
pub fn decide(
    seen: &Seen,
    images: &Images,
    registry: &Registry<'_>,
    agents: Option<&[Row]>,
    arch: Arch,
) -> Matrix {
    let (own, others) = sidecar::split(&seen.workload, &seen.containers);
    let mut rows = Vec::new();
    for container in own {
        rows.push(runtime::row_of(container, arch));
        rows.extend(image::rows(container, images, registry, arch));
        rows.extend(dependencies::rows(container, images, arch));
    }
    rows.extend(sidecar::rows(
        &others,
        seen.more_containers,
        images,
        registry,
        arch,
    ));
    rows.extend(agents::rows(agents, arch));
    rows.sort_by(|a, b| order(a).cmp(&order(b)));
    rows.dedup();
    Matrix {
        cluster: seen.cluster.clone(),
        namespace: seen.namespace.clone(),
        workload: seen.workload.clone(),
        status: worst(&rows),
        rows,
    }
}

fn order(row: &Row) -> (Layer, std::cmp::Reverse<Status>, &str, &str) {
    let status = std::cmp::Reverse(row.status);
    (row.layer, status, &row.component, &row.why)
}

fn worst(rows: &[Row]) -> Status {
    let statuses = rows.iter().map(|row| row.status);
    statuses.max().unwrap_or(Status::Gate)
}

/// A row without evidence.
fn row(layer: Layer, component: &str, status: Status, why: impl Into<String>) -> Row {
    Row {
        layer,
        component: component.to_owned(),
        status,
        why: why.into(),
        action: String::new(),
        finding: String::new(),
        evidence: Vec::new(),
        more_evidence: 0,
    }
}

impl Row {
    fn action(self, action: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            ..self
        }
    }

    /// It is this finding, and what helps is what the catalogue says first.
    fn finding(self, id: Id) -> Self {
        let fix = id.entry().and_then(|entry| entry.fix.first());
        Self {
            finding: id.to_string(),
            action: fix.copied().unwrap_or_default().to_owned(),
            ..self
        }
    }

    /// Shown by these, and by so many more.
    fn shown_by(self, evidence: impl IntoIterator<Item = Evidence>, more: u64) -> Self {
        let mut evidence: Vec<_> = evidence.into_iter().collect();
        let left_out = evidence.len().saturating_sub(Self::EVIDENCE);
        evidence.truncate(Self::EVIDENCE);
        Self {
            evidence,
            more_evidence: more.saturating_add(u64::try_from(left_out).unwrap_or(u64::MAX)),
            ..self
        }
    }
}

/// Whether a finding holds a workload back: what is low is meant to be so, or may never matter.
fn is_severe(id: Id) -> bool {
    id.entry()
        .is_some_and(|entry| entry.severity >= Severity::Medium)
}
