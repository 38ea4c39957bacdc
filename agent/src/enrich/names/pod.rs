//! What is kept of a pod.

use std::collections::BTreeMap;

use archtrace_cri::{Container, Sandbox};
use archtrace_facts::identity::workload;

use super::found::short;

/// Labels of a pod that are kept, as many as a collector takes.
const MAX_LABELS: usize = 64;
/// What they may take together. Usual pods have ten labels of 50 bytes; the rest is for one that has
/// more, and 250 pods like that are half a megabyte.
const MAX_LABEL_BYTES: usize = 2048;
/// Labels of the kubelet's own repeat what is told anyway.
const KUBELETS: &str = "io.kubernetes.";
/// A pod; shared by its containers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) workload: String,
    pub(crate) labels: BTreeMap<String, String>,
}

impl From<&Sandbox> for Pod {
    fn from(told: &Sandbox) -> Self {
        Self {
            namespace: short(&told.namespace),
            name: short(&told.name),
            uid: short(&told.uid),
            workload: short(&owner(told)),
            labels: labels(&told.labels),
        }
    }
}

impl Pod {
    /// What the kubelet writes on each container of its pod (`newContainerLabels`, pkg/kubelet/kuberuntime).
    pub(crate) fn of_container(told: &Container) -> Self {
        let label = |key: &str| told.labels.get(key).map(|value| short(value));
        Self {
            namespace: label("io.kubernetes.pod.namespace").unwrap_or_default(),
            name: label("io.kubernetes.pod.name").unwrap_or_default(),
            uid: label("io.kubernetes.pod.uid").unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// What it belongs to. Where annotations are not told, static pods are known by a UID that is a hash
/// (`applyDefaults`, pkg/kubelet/config/common.go); others' have dashes.
fn owner(told: &Sandbox) -> String {
    if told.uid.contains('-') {
        workload(&told.name, &told.labels, &told.annotations)
    } else {
        workload(&told.name, &BTreeMap::new(), &told.annotations)
    }
}

fn labels(told: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut bytes = 0;
    told.iter()
        .filter(|(key, _)| !key.starts_with(KUBELETS))
        .map(|(key, value)| (short(key), short(value)))
        .take_while(|(key, value)| {
            bytes += key.len() + value.len();
            bytes <= MAX_LABEL_BYTES
        })
        .take(MAX_LABELS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: usize, length: usize, expected: usize) {
        let told = (0..count).map(|i| (format!("{i:04}"), "v".repeat(length)));
        let sandbox = Sandbox {
            labels: told.collect(),
            ..Sandbox::default()
        };
        assert_eq!(
            Pod::from(&sandbox).labels.len(),
            expected,
            "{count} of {length}"
        );
    }

    #[test]
    fn labels_are_bounded() {
        check(0, 0, 0);
        check(10, 50, 10);
        check(64, 20, 64);
        check(65, 20, 64);
        check(100, 63, 30);
    }

    #[test]
    fn static_pods_belong_to_nobody() {
        for (uid, expected) in [
            ("2b1a1b6e-8d3e-4c57-9a4f-0e5d2c1b3a49", "Deployment/a"),
            ("9f86d081884c7d659a2feaa0c55ad015", "Pod/a-7c9f8d5b6-x2k4z"),
        ] {
            let label = ("pod-template-hash".to_owned(), "7c9f8d5b6".to_owned());
            let sandbox = Sandbox {
                name: "a-7c9f8d5b6-x2k4z".to_owned(),
                uid: uid.to_owned(),
                labels: [label].into(),
                ..Sandbox::default()
            };
            assert_eq!(Pod::from(&sandbox).workload, expected);
        }
    }

    #[test]
    fn the_kubelets_labels_are_left_out_and_others_made_printable() {
        let sandbox = Sandbox {
            name: "a\nb".to_owned(),
            labels: [("io.kubernetes.pod.uid", "1"), ("app", "x\x1b")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            ..Sandbox::default()
        };
        let pod = Pod::from(&sandbox);
        assert_eq!(pod.name, r"a\x0ab");
        assert_eq!(pod.workload, r"Pod/a\x0ab");
        assert_eq!(pod.labels, [("app".to_owned(), r"x\x1b".to_owned())].into());
    }
}
