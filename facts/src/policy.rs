//! What a policy says: which agents have to run, where, in which versions, and what is let pass until when.
//!
//! How a policy is written, and at which line something stands, is not known here.
//!
//! | module | what |
//! |---|---|
//! | [`rules`] | what no policy may say |
//! | [`words`] | dates, versions and names as people write them |
//! | `pattern` | whether two patterns mean some text both |

mod pattern;
pub mod rules;
pub mod words;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::arch::Arch;
use crate::coverage::Status;
use crate::select::{TextField, wildcard};

/// What has to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Each once, in the order of the policy.
    pub agents: Vec<Agent>,
}

impl Policy {
    /// Whether some version is certified by a digest.
    #[must_use]
    pub fn has_digests(&self) -> bool {
        let certified = self
            .agents
            .iter()
            .filter_map(|agent| agent.certified.as_ref());
        let mut versions = certified.flat_map(|versions| versions.values().flatten());
        versions.any(|version| matches!(version, Version::Digest(_)))
    }
}

/// Versions by the instruction set of the node.
pub type Certified = BTreeMap<Arch, Vec<Version>>;

/// An agent that has to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// What people call it.
    pub name: String,
    /// What of it is on a node.
    pub matches: Match,
    /// Where it has to run.
    pub nodes: Nodes,
    /// Which versions are good; every one if `None`.
    pub certified: Option<Certified>,
    /// What is let pass: the first that covers something counts.
    pub waivers: Vec<Waiver>,
}

/// What processes of an agent are: all conditions hold. In texts, `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Namespace of the pod.
    pub namespace: Option<String>,
    /// Labels of the pod, each with a pattern of its value.
    pub labels: BTreeMap<String, String>,
    /// The image, as the pod asks for it.
    pub image: Option<String>,
    /// Kind and name of what the pod belongs to, such as `DaemonSet/falcon-sensor`.
    pub workload: Option<String>,
    /// Unit of systemd.
    pub unit: Option<String>,
    /// Path of the binary.
    pub executable: Option<String>,
}

/// What a [`Match`] looks at.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    namespace: Cow<'a, str>,
    workload: Cow<'a, str>,
    image: Cow<'a, str>,
    unit: Cow<'a, str>,
    executable: Cow<'a, str>,
    labels: &'a BTreeMap<String, String>,
}

impl<'a> Words<'a> {
    /// Those of something that has these texts, and labels of its pod.
    pub fn of(
        text: impl Fn(TextField) -> Cow<'a, str>,
        labels: &'a BTreeMap<String, String>,
    ) -> Self {
        Self {
            namespace: text(TextField::Namespace),
            workload: text(TextField::Workload),
            image: text(TextField::Image),
            unit: text(TextField::Unit),
            executable: text(TextField::Binary),
            labels,
        }
    }
}

impl Match {
    /// Whether these are words of the agent.
    #[must_use]
    pub fn holds(&self, of: &Words<'_>) -> bool {
        let Self {
            namespace,
            labels,
            image,
            workload,
            unit,
            executable,
        } = self;
        let is = |pattern: &Option<String>, text: &str| {
            pattern
                .as_ref()
                .is_none_or(|pattern| wildcard(pattern, text))
        };
        is(namespace, &of.namespace)
            && is(workload, &of.workload)
            && is(unit, &of.unit)
            && is(executable, &of.executable)
            && is(image, &of.image)
            && labels.iter().all(|(key, pattern)| {
                let value = of.labels.get(key);
                value.is_some_and(|value| wildcard(pattern, value))
            })
    }

    /// Whether a pod of these words may be the agent's, as far as its names and labels say it: of its
    /// processes nothing is seen. Who knows a pod's labels derives from them what it belongs to.
    #[must_use]
    pub fn may_be_pod(&self, of: &Words<'_>) -> bool {
        let Self {
            namespace,
            labels,
            workload,
            unit,
            image: _,
            executable: _,
        } = self;
        let known = Self {
            namespace: namespace.clone().filter(|_| !of.namespace.is_empty()),
            ..Self::default()
        };
        let known = if of.workload.is_empty() {
            known
        } else {
            Self {
                labels: labels.clone(),
                workload: workload.clone(),
                ..known
            }
        };
        unit.is_none() && known.holds(of)
    }
}

/// Which nodes: all conditions hold, and one whose list is empty does. In texts, `*` stands for any
/// characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// Clusters.
    pub clusters: Vec<String>,
    /// Names.
    pub names: Vec<String>,
    /// Instruction sets.
    pub archs: Vec<Arch>,
}

impl Nodes {
    /// Whether the node is meant. What is not known of it is no reason to leave it out: nobody should be
    /// calm because little is known.
    #[must_use]
    pub fn has(&self, cluster: Option<&str>, name: &str, arch: Option<Arch>) -> bool {
        let Self {
            clusters,
            names,
            archs,
        } = self;
        let one_of = |patterns: &[String], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| wildcard(pattern, text))
        };
        arch.is_none_or(|arch| archs.is_empty() || archs.contains(&arch))
            && cluster.is_none_or(|cluster| one_of(clusters, cluster))
            && one_of(names, name)
    }

    /// Whether some node may be meant by both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let texts = |a: &[String], b: &[String]| {
            let meet = |a: &String| b.iter().any(|b| pattern::meet(a, b));
            a.is_empty() || b.is_empty() || a.iter().any(meet)
        };
        let archs = |a: &[Arch], b: &[Arch]| {
            a.is_empty() || b.is_empty() || a.iter().any(|arch| b.contains(arch))
        };
        texts(&self.clusters, &other.clusters)
            && texts(&self.names, &other.names)
            && archs(&self.archs, &other.archs)
    }
}

/// A version of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// A tag of its image; `*` stands for any characters.
    Tag(String),
    /// The digest of an image, or of its configuration: `sha256:` and 64 hex digits.
    Digest(String),
}

/// Something is let pass for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// From when on it is none.
    pub expires: SystemTime,
    /// On which nodes.
    pub nodes: Nodes,
    /// What is let pass; all of [`Waiver::STATUSES`] if there is none.
    pub statuses: Vec<Status>,
}

impl Waiver {
    /// What can be let pass. A node of which nothing is known cannot: who silences it silences everything
    /// on it.
    pub const STATUSES: [Status; 4] = [
        Status::Emulated,
        Status::Failing,
        Status::Uncertified,
        Status::Missing,
    ];

    /// Whether it lets this pass on this node, while it holds.
    #[must_use]
    pub fn covers(&self, cluster: &str, node: &str, arch: Arch, status: Status) -> bool {
        let statuses = match &self.statuses[..] {
            [] => &Self::STATUSES[..],
            statuses => statuses,
        };
        statuses.contains(&status) && self.nodes.has(Some(cluster), node, Some(arch))
    }
}

#[cfg(test)]
mod tests;
