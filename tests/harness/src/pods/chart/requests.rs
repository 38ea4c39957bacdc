//! What the kubelet asks of a runtime for a pod's specification (pkg/kubelet/kuberuntime and
//! pkg/securitycontext).

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use archtrace_cri::v1;

use super::spec::{
    Amounts, AppArmor, Container, FieldRef, PodSecurity, PodSpec, ProfileType, Propagation,
    Resources, SeLinux, Seccomp, Security, Source, Variable, VolumeMount,
};
use super::{Cluster, Places, Qos, Workload, quantity};

/// Hidden in every container that is not privileged, and what can only be read there
/// (`defaultMaskedPaths` and `defaultReadonlyPaths`, pkg/securitycontext/util.go).
const MASKED: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// What a pod is made with, beyond who it is: `config` has its names, labels and cgroup already.
pub(in crate::pods) fn sandbox(
    workload: &Workload,
    mut config: v1::PodSandboxConfig,
    logs: &Path,
) -> Result<v1::PodSandboxConfig> {
    let spec = &workload.spec;
    ensure!(
        !spec.automount_service_account_token && !spec.enable_service_links,
        "nobody gives pods tokens or variables here"
    );
    for (key, value) in &spec.node_selector {
        let fits = (key.as_str(), value.as_str()) == ("kubernetes.io/os", "linux");
        ensure!(fits, "this node has no label {key}={value}");
    }
    let annotations = workload.annotations.clone();
    config.annotations.extend(annotations);
    config.log_directory = logs.display().to_string();
    let linux = config.linux.as_mut().context("a pod on Linux")?;
    linux.security_context = Some(v1::LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(spec)),
        selinux_options: spec.security_context.se_linux_options.as_ref().map(selinux),
        run_as_user: number(spec.security_context.run_as_user),
        run_as_group: number(spec.security_context.run_as_group),
        supplemental_groups: groups(&spec.security_context),
        // That of the container that holds the namespaces, whatever others have.
        seccomp: Some(profile(ProfileType::RuntimeDefault, None)?),
        readonly_rootfs: false,
        privileged: false,
        apparmor: None,
    });
    Ok(config)
}

/// Which container of which pod it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::pods) struct Identity<'a> {
    pub(in crate::pods) sandbox: &'a v1::PodSandboxConfig,
    /// How often it was started before.
    pub(in crate::pods) attempt: u32,
    /// What is to be `/etc/hosts`.
    pub(in crate::pods) hosts: &'a Path,
}

/// What a container is made with.
pub(in crate::pods) fn container(
    workload: &Workload,
    places: &Places,
    cluster: &Cluster,
    identity: Identity<'_>,
) -> Result<v1::ContainerConfig> {
    let Identity {
        sandbox,
        attempt,
        hosts,
    } = identity;
    let container = workload.only()?;
    let env = container.env.iter();
    let env = env.map(|variable| self::variable(variable, cluster));
    let mut mounts = container
        .volume_mounts
        .iter()
        .map(|mount| self::mount(mount, places))
        .collect::<Result<Vec<_>>>()?;
    mounts.push(v1::Mount {
        container_path: "/etc/hosts".to_owned(),
        host_path: hosts.display().to_string(),
        readonly: container.security_context.read_only_root_filesystem,
        ..v1::Mount::default()
    });
    let mut labels = sandbox.labels.clone();
    labels.insert(
        "io.kubernetes.container.name".to_owned(),
        container.name.clone(),
    );
    Ok(v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata {
            name: container.name.clone(),
            attempt,
        }),
        image: Some(v1::ImageSpec {
            image: container.image.clone(),
            ..v1::ImageSpec::default()
        }),
        args: container.args.clone(),
        envs: env.collect::<Result<_>>()?,
        mounts,
        labels,
        annotations: HashMap::from([(
            "io.kubernetes.container.restartCount".to_owned(),
            attempt.to_string(),
        )]),
        log_path: format!("{}/{attempt}.log", container.name),
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(resources(&container.resources)?),
            security_context: Some(security(&workload.spec, container, cluster)?),
        }),
        ..v1::ContainerConfig::default()
    })
}

fn variable(variable: &Variable, cluster: &Cluster) -> Result<v1::KeyValue> {
    let Variable {
        name,
        value,
        value_from,
    } = variable;
    let value = match (value, value_from) {
        (Some(value), None) => value.clone(),
        (
            None,
            Some(Source {
                field_ref: FieldRef { field_path },
            }),
        ) if field_path == "spec.nodeName" => cluster.node.clone(),
        _ => bail!("the variable {name} has a value that is not known here: {variable:?}"),
    };
    Ok(v1::KeyValue {
        key: name.clone(),
        value,
    })
}

fn mount(mount: &VolumeMount, places: &Places) -> Result<v1::Mount> {
    let VolumeMount {
        name,
        mount_path,
        read_only,
        mount_propagation,
    } = mount;
    let place = places.get(name);
    let place = place.with_context(|| format!("there is no volume {name}"))?;
    let propagation = match mount_propagation {
        None => v1::MountPropagation::PropagationPrivate,
        Some(Propagation::HostToContainer) => v1::MountPropagation::PropagationHostToContainer,
    };
    Ok(v1::Mount {
        container_path: mount_path.clone(),
        host_path: place.display().to_string(),
        readonly: *read_only,
        propagation: propagation.into(),
        ..v1::Mount::default()
    })
}

fn security(
    spec: &PodSpec,
    container: &Container,
    cluster: &Cluster,
) -> Result<v1::LinuxContainerSecurityContext> {
    let PodSecurity {
        run_as_non_root,
        run_as_user,
        run_as_group,
        seccomp_profile,
        app_armor_profile,
        se_linux_options,
        ..
    } = &spec.security_context;
    let Security {
        privileged,
        allow_privilege_escalation,
        read_only_root_filesystem,
        capabilities,
        seccomp_profile: own_profile,
    } = &container.security_context;
    ensure!(
        !run_as_non_root || *run_as_user != 0,
        "it would run as root"
    );
    let apparmor = app_armor_profile.map(|AppArmor { kind }| profile(kind, None));
    let own = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect();
    Ok(v1::LinuxContainerSecurityContext {
        capabilities: Some(v1::Capability {
            add_capabilities: capabilities.add.clone(),
            drop_capabilities: capabilities.drop.clone(),
        }),
        privileged: *privileged,
        namespace_options: Some(namespaces(spec)),
        selinux_options: se_linux_options.as_ref().map(selinux),
        run_as_user: number(*run_as_user),
        run_as_group: number(*run_as_group),
        supplemental_groups: groups(&spec.security_context),
        readonly_rootfs: *read_only_root_filesystem,
        no_new_privs: !allow_privilege_escalation,
        masked_paths: own(&MASKED),
        readonly_paths: own(&READ_ONLY),
        seccomp: Some(seccomp(
            own_profile.as_ref().unwrap_or(seccomp_profile),
            cluster,
        )?),
        apparmor: apparmor.transpose()?,
    })
}

fn seccomp(wanted: &Seccomp, cluster: &Cluster) -> Result<v1::SecurityProfile> {
    let Seccomp {
        kind,
        localhost_profile,
    } = wanted;
    let path = localhost_profile
        .as_ref()
        .map(|name| cluster.profiles.join(name).display().to_string());
    profile(*kind, path)
}

fn profile(kind: ProfileType, path: Option<String>) -> Result<v1::SecurityProfile> {
    use v1::security_profile::ProfileType as Kind;
    let is_of_node = matches!(kind, ProfileType::Localhost);
    ensure!(
        is_of_node == path.is_some(),
        "a profile has a file if and only if it is of the node"
    );
    let kind = match kind {
        ProfileType::RuntimeDefault => Kind::RuntimeDefault,
        ProfileType::Unconfined => Kind::Unconfined,
        ProfileType::Localhost => Kind::Localhost,
    };
    Ok(v1::SecurityProfile {
        profile_type: kind.into(),
        localhost_ref: path.unwrap_or_default(),
    })
}

fn selinux(options: &SeLinux) -> v1::SeLinuxOption {
    v1::SeLinuxOption {
        r#type: options.kind.clone(),
        ..v1::SeLinuxOption::default()
    }
}

fn number(value: i64) -> Option<v1::Int64Value> {
    Some(v1::Int64Value { value })
}

fn groups(security: &PodSecurity) -> Vec<i64> {
    security
        .fs_group
        .iter()
        .map(|&group| group.into())
        .collect()
}

fn namespaces(spec: &PodSpec) -> v1::NamespaceOption {
    let pid = if spec.host_pid {
        v1::NamespaceMode::Node
    } else {
        v1::NamespaceMode::Container
    };
    v1::NamespaceOption {
        pid: pid.into(),
        ..super::super::pod::namespaces()
    }
}

/// `calculateLinuxResources` and `GetContainerOOMScoreAdjust` (pkg/kubelet/qos/policy.go).
fn resources(resources: &Resources) -> Result<v1::LinuxContainerResources> {
    const PERIOD: i64 = 100_000;
    let Resources { requests, limits } = resources;
    let millicores =
        |amounts: &Amounts| amounts.cpu.as_deref().map(quantity::millicores).transpose();
    let bytes = |amounts: &Amounts| amounts.memory.as_deref().map(quantity::bytes).transpose();
    let (asked, limit) = (millicores(requests)?, millicores(limits)?);
    let oom_score_adj = match resources.qos() {
        Qos::Guaranteed => -997,
        Qos::BestEffort => 1000,
        Qos::Burstable => {
            let share = 1000 * bytes(requests)?.unwrap_or(0) / memory()?;
            (1000 - share).clamp(3, 999)
        }
    };
    Ok(v1::LinuxContainerResources {
        cpu_period: limit.map_or(0, |_| PERIOD),
        cpu_quota: limit.map_or(0, |limit| limit * PERIOD / 1000),
        cpu_shares: (asked.or(limit).unwrap_or(0) * 1024 / 1000).max(2),
        memory_limit_in_bytes: bytes(limits)?.unwrap_or(0),
        oom_score_adj,
    })
}

impl Resources {
    /// `ComputePodQOS` (pkg/apis/core/v1/helper/qos), of a pod with one container.
    pub(super) fn qos(&self) -> Qos {
        let Self { requests, limits } = self;
        let is_set = |amounts: &Amounts| amounts.cpu.is_some() || amounts.memory.is_some();
        let is_limited = limits.cpu.is_some() && limits.memory.is_some();
        if is_limited && (requests.cpu == limits.cpu && requests.memory == limits.memory) {
            Qos::Guaranteed
        } else if is_set(requests) || is_set(limits) {
            Qos::Burstable
        } else {
            Qos::BestEffort
        }
    }
}

/// The node's memory in bytes (`MemTotal`, `proc_meminfo(5)`).
fn memory() -> Result<i64> {
    let table = std::fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let total = table.lines().find_map(|line| {
        let number = line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?;
        number.trim().parse::<i64>().ok()
    });
    let total = total.filter(|total| *total > 0);
    Ok(total.context("/proc/meminfo tells no total")? * 1024)
}
