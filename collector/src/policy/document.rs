//! How a policy is written. `docs/policy.schema.json` is made from these types, and their comments are what
//! editors show.
//!
//! What is missing or does not belong together is found later, where there are words for it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// Which agents have to run, on which nodes, and in which versions.
#[derive(Debug, Deserialize)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(title = "archtrace policy")
)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    /// The agents that have to run; each is looked for on each of its nodes.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<Agent>", length(min = 1)))]
    pub(super) agents: Vec<Spanned<Agent>>,
}

/// An agent that has to run.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Agent {
    /// What people call it; no two agents have the same name.
    #[cfg_attr(test, schemars(with = "String", required))]
    pub(super) name: Option<Spanned<String>>,
    /// How its processes are known: all conditions have to hold.
    #[serde(rename = "match")]
    #[cfg_attr(test, schemars(with = "Match", required))]
    pub(super) matches: Option<Spanned<Match>>,
    /// On which nodes it has to run; on all if this is left out.
    #[serde(default)]
    pub(super) nodes: Nodes,
    /// Which versions are certified, by the architecture of the node: tags of images, in which * stands for
    /// any characters, or digests. If this is left out, every version is; of an architecture that is left
    /// out, none is.
    #[cfg_attr(test, schemars(with = "Option<BTreeMap<String, Vec<String>>>"))]
    pub(super) certified: Option<Spanned<BTreeMap<String, Vec<Spanned<String>>>>>,
    /// What is let pass for a while.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<Waiver>"))]
    pub(super) waivers: Vec<Spanned<Waiver>>,
}

/// How processes are known. In values, * stands for any characters.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("minProperties" = 1)))]
#[serde(deny_unknown_fields)]
pub(super) struct Match {
    /// Namespace of the pod.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) namespace: Option<Spanned<String>>,
    /// Labels of the pod.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, String>"))]
    pub(super) labels: BTreeMap<String, Spanned<String>>,
    /// The image, as the pod asks for it.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) image: Option<Spanned<String>>,
    /// Kind and name of what the pod belongs to, such as DaemonSet/falcon-sensor.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) workload: Option<Spanned<String>>,
    /// Unit of systemd, such as falcon-sensor.service.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) unit: Option<Spanned<String>>,
    /// Path of the binary.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) executable: Option<Spanned<String>>,
}

/// Which nodes: all conditions have to hold, and one that is left out does.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Nodes {
    /// Names of clusters, as agents tell them; * stands for any characters.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) clusters: Vec<Spanned<String>>,
    /// Names of nodes; * stands for any characters.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) names: Vec<Spanned<String>>,
    /// Architectures of nodes, such as arm64.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) archs: Vec<Spanned<String>>,
}

/// Something that is let pass for a while.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Waiver {
    /// Who answers for it.
    #[cfg_attr(test, schemars(with = "String", required))]
    pub(super) owner: Option<Spanned<String>>,
    /// Why.
    #[cfg_attr(test, schemars(with = "String", required))]
    pub(super) reason: Option<Spanned<String>>,
    /// A day, such as 2027-03-31, with whose end (in UTC) it is over, or a time, such as
    /// 2027-03-31T12:00:00Z.
    #[cfg_attr(test, schemars(with = "String", required))]
    pub(super) expires: Option<Spanned<String>>,
    /// On which nodes; on all if this is left out.
    #[serde(default)]
    pub(super) nodes: Nodes,
    /// What is let pass: EMULATED, FAILING, UNCERTIFIED, MISSING; all of these if this is left out.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub(super) statuses: Vec<Spanned<String>>,
}
