//! Whose a cgroup is: a container of a pod, or a unit of systemd.

mod cgroup;
mod process;
mod selector;
mod workload;

use std::collections::BTreeMap;

pub use cgroup::of_cgroup;
pub use process::path_of_process;
pub use selector::{LabelSelector, SelectorError};
pub use workload::workload;

use crate::arch::Arch;

/// What is known of a cgroup's owner. Texts are printable, and empty where nothing is known; what the
/// cgroup's path says comes first, names from the container runtime may follow later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container; `pause` for the sandbox's own.
    pub container: String,
    /// UID of the pod as the kubelet knows it, with dashes; for a static pod the hash that its mirror
    /// pod carries as the annotation `kubernetes.io/config.mirror`.
    pub pod_uid: String,
    /// Id of the container (of the sandbox, for its own), without the runtime's name.
    pub container_id: String,
    /// The systemd unit of a process of the host, such as `cron.service`.
    pub unit: String,
    /// The image, as the pod asks for it.
    pub image: String,
    /// What the image really is: the digest of its configuration, `sha256:` and 64 hex digits.
    pub image_id: String,
    /// The platform that the image claims to be for.
    pub image_arch: Option<Arch>,
    /// What the pod belongs to, as kind and name: `Deployment/api`, `DaemonSet/falcon`.
    pub workload: String,
    /// Whether `workload` is what the Kubernetes API says, and not derived from labels.
    pub workload_from_api: bool,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
    /// How often the container was started before (`metadata.attempt` of the CRI).
    pub attempt: u32,
    /// How the container, or the attempt before it, ended.
    pub last_exit: Option<LastExit>,
}

impl Identity {
    /// Where something runs, as shortly as it can be told: a pod and its container, or a systemd unit.
    #[must_use]
    pub fn place(&self) -> String {
        let Self {
            namespace,
            pod,
            container,
            pod_uid,
            container_id,
            unit,
            ..
        } = self;
        if !pod.is_empty() {
            return format!("{namespace}/{pod} {container}")
                .trim_end()
                .to_owned();
        }
        if !pod_uid.is_empty() {
            return format!("pod {pod_uid}");
        }
        if !container_id.is_empty() {
            let short = container_id.get(..12).unwrap_or(container_id);
            return format!("container {short}");
        }
        unit.clone()
    }

    /// The same with the workload that the Kubernetes API tells for the pod with this UID; `None` if that
    /// is another pod, or this is known.
    #[must_use]
    pub fn with_workload(&self, pod_uid: &str, workload: &str) -> Option<Self> {
        let is_known = self.workload_from_api && self.workload == workload;
        if pod_uid.is_empty() || self.pod_uid != pod_uid || is_known {
            return None;
        }
        Some(Self {
            workload: workload.to_owned(),
            workload_from_api: true,
            ..self.clone()
        })
    }

    /// What is known when this is told after `had`: what the API said of a pod holds against what is
    /// derived from its labels, whoever tells that later.
    #[must_use]
    pub fn after(mut self, had: &Self) -> Self {
        let same_pod = !had.pod_uid.is_empty() && self.pod_uid == had.pod_uid;
        if same_pod && had.workload_from_api && !self.workload_from_api {
            self.workload.clone_from(&had.workload);
            self.workload_from_api = true;
        }
        self
    }

    /// About how many bytes it takes in a message.
    #[must_use]
    pub fn weight(&self) -> usize {
        let Self {
            namespace,
            pod,
            container,
            pod_uid,
            container_id,
            unit,
            image,
            image_id,
            image_arch: _,
            workload,
            workload_from_api: _,
            labels,
            attempt: _,
            last_exit,
        } = self;
        let texts = [
            namespace,
            pod,
            container,
            pod_uid,
            container_id,
            unit,
            image,
            image_id,
            workload,
        ];
        let labels = labels
            .iter()
            .map(|(key, value)| key.len() + value.len() + 8);
        let reason = last_exit.as_ref().map_or(0, |exit| exit.reason.len());
        // Tags, lengths and numbers take some 60.
        60 + texts.iter().map(|text| text.len()).sum::<usize>() + labels.sum::<usize>() + reason
    }
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LastExit {
    /// As the container runtime tells it.
    pub code: i32,
    /// Such as `Completed`, `Error`, `OOMKilled`, `StartError`; may be empty.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str, workload: &str, from_api: bool) -> Identity {
        Identity {
            pod: "api-1".to_owned(),
            pod_uid: uid.to_owned(),
            workload: workload.to_owned(),
            workload_from_api: from_api,
            ..Identity::default()
        }
    }

    #[test]
    fn what_the_api_says_holds_until_it_says_something_else() {
        let derived = pod("u", "Job/a-1", false);
        let named = derived.with_workload("u", "CronJob/a");
        assert_eq!(named, Some(pod("u", "CronJob/a", true)));
        for (had, uid, workload, expected) in [
            (pod("u", "Job/a", true), "u", "Job/a", None),
            // The same words, but now it is certain.
            (pod("u", "Job/a", false), "u", "Job/a", Some("Job/a")),
            (pod("u", "Job/a", true), "u", "Job/b", Some("Job/b")),
            (pod("u", "Job/a", false), "v", "Job/b", None),
            (pod("", "Job/a", false), "", "Job/b", None),
        ] {
            let expected = expected.map(|workload| pod(uid, workload, true));
            assert_eq!(had.with_workload(uid, workload), expected, "{had:?}");
        }
        let told = || pod("u", "Job/a-1", false);
        for (had, told, expected) in [
            (
                pod("u", "CronJob/a", true),
                told(),
                pod("u", "CronJob/a", true),
            ),
            (pod("u", "Job/a", false), told(), told()),
            (pod("v", "CronJob/a", true), told(), told()),
            (
                pod("", "CronJob/a", true),
                pod("", "", false),
                pod("", "", false),
            ),
            (
                pod("u", "CronJob/a", true),
                pod("u", "Job/b", true),
                pod("u", "Job/b", true),
            ),
        ] {
            assert_eq!(told.after(&had), expected, "{had:?}");
        }
    }
}
