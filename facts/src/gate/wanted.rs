//! Which pods are meant.

use crate::arch::Arch;
use crate::identity::{Identity, LabelSelector};
use crate::select::{Expr, Field, Filter, Op, Selection, TextField, Value, wildcard};

/// Which pods have to be native, and on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The architecture that they should run on.
    pub arch: Arch,
    /// Their cluster, with `*` for any characters; in all if `None`.
    pub cluster: Option<String>,
    /// Their namespace, to the letter.
    pub namespace: String,
    /// Patterns of which their name has to match one; all if there are none.
    pub pods: Vec<String>,
    /// The same for what they belong to, such as `Deployment/api`.
    pub workloads: Vec<String>,
    /// Their labels.
    pub labels: LabelSelector,
    /// How many there should be at least.
    pub expected: Option<u64>,
}

/// Whether a pod is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// What it is called, or which labels it has, is not known.
    Unknown,
}

impl Wanted {
    /// Whether the pod that `identity` names is meant. What is of no pod is not.
    #[must_use]
    pub fn member(&self, cluster: &str, identity: &Identity) -> Member {
        let Self {
            arch: _,
            cluster: wanted_cluster,
            namespace,
            pods,
            workloads,
            labels,
            expected: _,
        } = self;
        let is_other = wanted_cluster
            .as_ref()
            .is_some_and(|pattern| !wildcard(pattern, cluster));
        if is_other || (identity.pod.is_empty() && identity.pod_uid.is_empty()) {
            return Member::No;
        }
        if identity.pod.is_empty() {
            return Member::Unknown;
        }
        if identity.namespace != *namespace || !one_of(pods, &identity.pod) {
            return Member::No;
        }
        // Who knows a pod's labels derives from them what it belongs to: without the one, the other is
        // not known either.
        let matters = !workloads.is_empty() || !labels.is_everything();
        if matters && identity.workload.is_empty() {
            return Member::Unknown;
        }
        if one_of(workloads, &identity.workload) && labels.matches(&identity.labels) {
            Member::Yes
        } else {
            Member::No
        }
    }

    /// What has to be asked for: facts of these pods, and of those that nobody has named yet.
    #[must_use]
    pub fn selection(&self) -> Selection {
        let in_namespace = |namespace: &str| Filter {
            clusters: self.cluster.iter().cloned().collect(),
            namespaces: vec![namespace.to_owned()],
            ..Filter::default()
        };
        let named = Filter {
            pods: self.pods.clone(),
            ..in_namespace(&self.namespace)
        };
        let of_no_unit = Expr::Compare(
            Field::Text(TextField::Unit),
            Op::Equal,
            Value::Text(String::new()),
        );
        Selection {
            allow: vec![named, in_namespace("")],
            deny: Vec::new(),
            expression: Some(of_no_unit),
        }
    }
}

fn one_of(patterns: &[String], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| wildcard(pattern, text))
}
