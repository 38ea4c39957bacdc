//! What a pod's specification may say here. A field or a value that is not known is an error: what runs is
//! exactly what the chart says, or nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// `PodSpec` of Kubernetes' core/v1.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::pods) struct PodSpec {
    /// Who asks the API server, of which there is none here.
    #[serde(rename = "serviceAccountName")]
    _service_account_name: String,
    pub(super) automount_service_account_token: bool,
    pub(super) enable_service_links: bool,
    #[serde(default, rename = "hostPID")]
    pub(super) host_pid: bool,
    pub(in crate::pods) termination_grace_period_seconds: i64,
    pub(super) node_selector: BTreeMap<String, String>,
    /// The scheduler's, which has one node here.
    #[serde(rename = "affinity")]
    _affinity: IgnoredAny,
    /// The same.
    #[serde(rename = "tolerations")]
    _tolerations: Option<IgnoredAny>,
    pub(super) security_context: PodSecurity,
    pub(super) containers: Vec<Container>,
    #[serde(default)]
    pub(super) volumes: Vec<Volume>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PodSecurity {
    #[serde(default)]
    pub(super) run_as_non_root: bool,
    pub(super) run_as_user: i64,
    pub(super) run_as_group: i64,
    pub(super) fs_group: Option<u32>,
    /// When files get that group: always here, as volumes are new.
    #[serde(rename = "fsGroupChangePolicy")]
    _fs_group_change_policy: Option<String>,
    pub(super) seccomp_profile: Seccomp,
    pub(super) app_armor_profile: Option<AppArmor>,
    pub(super) se_linux_options: Option<SeLinux>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::pods) struct Seccomp {
    #[serde(rename = "type")]
    pub(super) kind: ProfileType,
    /// Below the kubelet's directory of profiles.
    pub(super) localhost_profile: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppArmor {
    #[serde(rename = "type")]
    pub(super) kind: ProfileType,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum ProfileType {
    RuntimeDefault,
    Unconfined,
    Localhost,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeLinux {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::pods) struct Container {
    pub(in crate::pods) name: String,
    pub(super) image: String,
    #[serde(rename = "imagePullPolicy")]
    _image_pull_policy: PullPolicy,
    pub(in crate::pods) args: Vec<String>,
    #[serde(default)]
    pub(super) env: Vec<Variable>,
    ports: Vec<Port>,
    startup_probe: Probe,
    /// Asks what the one before it asks, for as long as the container runs.
    liveness_probe: Probe,
    readiness_probe: Probe,
    pub(super) resources: Resources,
    pub(in crate::pods) security_context: Security,
    pub(super) volume_mounts: Vec<VolumeMount>,
}

/// Images are here before they are asked for, so that neither pulls.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum PullPolicy {
    IfNotPresent,
    Never,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) value_from: Option<Source>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Source {
    pub(super) field_ref: FieldRef,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FieldRef {
    pub(super) field_path: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Port {
    name: String,
    container_port: u16,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Probe {
    http_get: HttpGet,
    period_seconds: u64,
    /// How long an answer may take. An emulated CPU gets more.
    #[serde(rename = "timeoutSeconds")]
    _timeout_seconds: Option<u64>,
    failure_threshold: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpGet {
    path: String,
    port: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resources {
    #[serde(default)]
    pub(super) requests: Amounts,
    #[serde(default)]
    pub(super) limits: Amounts,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Amounts {
    pub(super) cpu: Option<String>,
    pub(super) memory: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::pods) struct Security {
    pub(super) privileged: bool,
    pub(super) allow_privilege_escalation: bool,
    pub(super) read_only_root_filesystem: bool,
    pub(in crate::pods) capabilities: Capabilities,
    /// Instead of the pod's.
    pub(in crate::pods) seccomp_profile: Option<Seccomp>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::pods) struct Capabilities {
    pub(super) drop: Vec<String>,
    #[serde(default)]
    pub(in crate::pods) add: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VolumeMount {
    pub(super) name: String,
    pub(super) mount_path: String,
    #[serde(default)]
    pub(super) read_only: bool,
    pub(super) mount_propagation: Option<Propagation>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Propagation {
    HostToContainer,
}

/// One of these, by a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Volume {
    pub(super) name: String,
    pub(super) host_path: Option<HostPath>,
    pub(super) empty_dir: Option<EmptyDir>,
    pub(super) secret: Option<Secret>,
    pub(super) config_map: Option<ConfigMap>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostPath {
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: Option<HostPathType>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum HostPathType {
    Directory,
    DirectoryOrCreate,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EmptyDir {
    /// Who uses more is evicted, by a manager that looks now and then.
    #[serde(rename = "sizeLimit")]
    _size_limit: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Secret {
    pub(super) secret_name: String,
    pub(super) default_mode: Option<u32>,
    pub(super) items: Option<Vec<Item>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConfigMap {
    pub(super) name: String,
    pub(super) default_mode: Option<u32>,
    pub(super) items: Option<Vec<Item>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    pub(super) key: String,
    pub(super) path: String,
}

/// A question by HTTP that a container has to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pods) struct Question {
    pub(in crate::pods) port: u16,
    pub(in crate::pods) path: String,
    /// So many seconds it may take until the answer is good.
    pub(in crate::pods) limit: u64,
}

impl Container {
    /// The number of a port, by its name.
    pub(super) fn port(&self, name: &str) -> Option<u16> {
        let port = self.ports.iter().find(|port| port.name == name);
        port.map(|port| port.container_port)
    }

    /// What it is asked, in this order: whether it has started, lives, and is ready.
    pub(in crate::pods) fn questions(&self) -> Option<[Question; 3]> {
        let question = |probe: &Probe| {
            // Kubernetes' default of failureThreshold.
            let tries = probe.failure_threshold.unwrap_or(3);
            Some(Question {
                port: self.port(&probe.http_get.port)?,
                path: probe.http_get.path.clone(),
                limit: probe.period_seconds * tries,
            })
        };
        let [startup, liveness, readiness] = [
            &self.startup_probe,
            &self.liveness_probe,
            &self.readiness_probe,
        ]
        .map(question);
        Some([startup?, liveness?, readiness?])
    }
}
