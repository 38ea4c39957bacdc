//! Pods and containers, with the names, labels and cgroups that the kubelet gives them.

use std::collections::HashMap;

use archtrace_cri::v1;

/// Quality of service, which decides where a pod's cgroup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are Kubernetes'")]
pub enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

/// A pod: a sandbox whose containers share a parent cgroup.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID; of a static pod a hash.
    pub uid: String,
    /// What it belongs to, as archtrace is to say it.
    pub workload: String,
    /// Its sandbox's id: that of the pause container.
    pub sandbox: String,
    pub(super) config: v1::PodSandboxConfig,
}

/// What makes pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are Kubernetes'")]
pub enum Controller {
    DaemonSet,
    Deployment,
    StatefulSet,
}

/// Pods of a controller.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    /// Which makes them.
    pub controller: Controller,
    /// Their namespace.
    pub namespace: &'a str,
    /// The controller's name.
    pub name: &'a str,
    /// Labels that people chose.
    pub labels: &'a [(&'a str, &'a str)],
}

/// A container to be made.
#[derive(Clone, Debug)]
pub struct Container<'a> {
    /// Its name within the pod.
    pub name: &'a str,
    /// Its image's name.
    pub image: &'a str,
    /// What it executes instead of the image's entrypoint, if not empty.
    pub command: &'a [&'a str],
    /// How often it was started before.
    pub attempt: u32,
}

impl<'a> Container<'a> {
    /// One that executes what its image says, for the first time.
    #[must_use]
    pub fn new(name: &'a str, image: &'a str) -> Self {
        Self {
            name,
            image,
            command: &[],
            attempt: 0,
        }
    }

    pub(super) fn config(&self, pod: &Pod) -> v1::ContainerConfig {
        let mut labels = pod.config.labels.clone();
        labels.insert("io.kubernetes.container.name".to_owned(), self.name.into());
        v1::ContainerConfig {
            metadata: Some(v1::ContainerMetadata {
                name: self.name.to_owned(),
                attempt: self.attempt,
            }),
            image: Some(v1::ImageSpec {
                image: self.image.to_owned(),
                ..v1::ImageSpec::default()
            }),
            command: self.command.iter().map(|&word| word.to_owned()).collect(),
            labels,
            annotations: HashMap::from([(
                "io.kubernetes.container.restartCount".to_owned(),
                self.attempt.to_string(),
            )]),
            linux: Some(v1::LinuxContainerConfig {
                resources: None,
                security_context: Some(v1::LinuxContainerSecurityContext {
                    namespace_options: Some(namespaces()),
                    ..v1::LinuxContainerSecurityContext::default()
                }),
            }),
            ..v1::ContainerConfig::default()
        }
    }
}

/// Who a pod is.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) workload: String,
    pub(super) namespace: String,
    labels: Vec<(String, String)>,
    /// `kubernetes.io/config.source`.
    source: &'static str,
}

/// Where pods are unless somebody says something else.
const NAMESPACE: &str = "archtrace-test";

/// What a controller of replica sets adds to names and labels.
const TEMPLATE: &str = "5d4f8c7b9f";

/// Of these the last part of a generated name is made (`alphanums`, k8s.io/apimachinery/pkg/util/rand).
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl Names {
    /// A pod of the deployment `name`.
    pub(super) fn of_deployment(name: &str, number: u32) -> Self {
        let template = Template {
            controller: Controller::Deployment,
            namespace: NAMESPACE,
            name,
            labels: &[],
        };
        Self::of_template(&template, number)
    }

    /// A pod as its controller names it.
    pub(super) fn of_template(template: &Template<'_>, number: u32) -> Self {
        let Template {
            controller,
            namespace,
            name,
            labels,
        } = *template;
        let random = random(number);
        let first = format!("{name}-0");
        let (pod, own) = match controller {
            Controller::Deployment => {
                let pod = format!("{name}-{TEMPLATE}-{random}");
                (pod, vec![("pod-template-hash", TEMPLATE)])
            }
            Controller::DaemonSet => (
                format!("{name}-{random}"),
                vec![("controller-revision-hash", TEMPLATE)],
            ),
            Controller::StatefulSet => (
                first.clone(),
                vec![
                    ("controller-revision-hash", TEMPLATE),
                    ("statefulset.kubernetes.io/pod-name", &*first),
                ],
            ),
        };
        let labels = labels.iter().chain(&own);
        Self {
            name: pod,
            uid: uid(number),
            workload: format!("{controller:?}/{name}"),
            namespace: namespace.to_owned(),
            labels: labels
                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            source: "api",
        }
    }

    /// A pod from a file of the node.
    pub(super) fn of_file(name: &str, number: u32) -> Self {
        let name = format!("{name}-{number}");
        Self {
            uid: format!("{:016x}{number:016x}", std::process::id()),
            workload: format!("Pod/{name}"),
            namespace: NAMESPACE.to_owned(),
            labels: Vec::new(),
            source: "file",
            name,
        }
    }

    /// The sandbox of the pod, with its cgroup below `parent`.
    pub(super) fn sandbox(&self, parent: &str) -> v1::PodSandboxConfig {
        let Self {
            name,
            uid,
            workload: _,
            namespace,
            labels,
            source,
        } = self;
        let own = [
            ("io.kubernetes.pod.name", name),
            ("io.kubernetes.pod.namespace", namespace),
            ("io.kubernetes.pod.uid", uid),
        ];
        let own = own.map(|(key, value)| (key.to_owned(), value.clone()));
        let labels = own.iter().chain(labels);
        v1::PodSandboxConfig {
            metadata: Some(v1::PodSandboxMetadata {
                name: name.clone(),
                uid: uid.clone(),
                namespace: namespace.clone(),
                attempt: 0,
            }),
            // With the node's network comes its name.
            hostname: String::new(),
            labels: labels.cloned().collect(),
            annotations: HashMap::from([(
                "kubernetes.io/config.source".to_owned(),
                (*source).to_owned(),
            )]),
            linux: Some(v1::LinuxPodSandboxConfig {
                cgroup_parent: parent.to_owned(),
                security_context: Some(v1::LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces()),
                    ..v1::LinuxSandboxSecurityContext::default()
                }),
                ..v1::LinuxPodSandboxConfig::default()
            }),
            ..v1::PodSandboxConfig::default()
        }
    }
}

/// The last part of a generated name.
fn random(number: u32) -> String {
    let mut rest = number as usize;
    let letters = std::iter::repeat_with(|| {
        let letter = ALPHABET[rest % ALPHABET.len()];
        rest /= ALPHABET.len();
        char::from(letter)
    });
    letters.take(5).collect()
}

/// One that nobody else on this machine has.
pub(super) fn uid(number: u32) -> String {
    format!("{:08x}-0000-4000-8000-{number:012x}", std::process::id())
}

/// That of a pod with `hostNetwork`, so that no network plugin is needed.
pub(super) fn namespaces() -> v1::NamespaceOption {
    v1::NamespaceOption {
        network: v1::NamespaceMode::Node.into(),
        pid: v1::NamespaceMode::Container.into(),
        ipc: v1::NamespaceMode::Pod.into(),
        ..v1::NamespaceOption::default()
    }
}

/// What the kubelet makes of QoS class and UID (pkg/kubelet/cm: `GetPodContainerName`, and `ToSystemd` or
/// `ToCgroupfs`).
pub(super) fn parent(uid: &str, qos: Qos, systemd: bool) -> String {
    let level = match qos {
        Qos::Guaranteed => None,
        Qos::Burstable => Some("burstable"),
        Qos::BestEffort => Some("besteffort"),
    };
    if !systemd {
        let level = level.map(|level| format!("/{level}")).unwrap_or_default();
        return format!("/kubepods{level}/pod{uid}");
    }
    let uid = uid.replace('-', "_");
    match level {
        None => format!("/kubepods.slice/kubepods-pod{uid}.slice"),
        Some(level) => {
            format!("/kubepods.slice/kubepods-{level}.slice/kubepods-{level}-pod{uid}.slice")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_where_the_kubelet_has_it() {
        let uid = "0a1b2c3d-0000-4000-8000-000000000001";
        for (qos, systemd, expected) in [
            (
                Qos::Guaranteed,
                true,
                "/kubepods.slice/kubepods-pod0a1b2c3d_0000_4000_8000_000000000001.slice",
            ),
            (
                Qos::Burstable,
                true,
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_0000_4000_8000_000000000001.slice",
            ),
            (
                Qos::BestEffort,
                false,
                "/kubepods/besteffort/pod0a1b2c3d-0000-4000-8000-000000000001",
            ),
            (
                Qos::Guaranteed,
                false,
                "/kubepods/pod0a1b2c3d-0000-4000-8000-000000000001",
            ),
        ] {
            assert_eq!(parent(uid, qos, systemd), expected);
        }
    }
}
