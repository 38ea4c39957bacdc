use std::io::Write as _;

use archtrace_cri::v1;
use serde_json::json;

use super::*;

/// What the chart makes of an agent, with one of everything.
fn agent() -> Value {
    let labels = json!({ "app.kubernetes.io/name": "archtrace-agent", "app.kubernetes.io/component": "agent" });
    let probe = json!({ "httpGet": { "path": "/healthz", "port": "metrics" }, "periodSeconds": 20,
        "timeoutSeconds": 5 });
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "name": "archtrace-agent", "namespace": "archtrace", "labels": labels },
        "spec": {
            "selector": { "matchLabels": { "app.kubernetes.io/name": "archtrace-agent" } },
            "updateStrategy": { "type": "RollingUpdate" },
            "template": {
                "metadata": { "labels": labels, "annotations": { "a": "b" } },
                "spec": {
                    "serviceAccountName": "archtrace-agent",
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "hostPID": true,
                    "terminationGracePeriodSeconds": 15,
                    "nodeSelector": { "kubernetes.io/os": "linux" },
                    "affinity": {},
                    "tolerations": [{ "operator": "Exists" }],
                    "securityContext": {
                        "runAsUser": 0, "runAsGroup": 0, "fsGroup": 7,
                        "seccompProfile": { "type": "Localhost", "localhostProfile": "archtrace/agent.json" },
                        "appArmorProfile": { "type": "Unconfined" },
                        "seLinuxOptions": { "type": "spc_t" },
                    },
                    "containers": [{
                        "name": "agent",
                        "image": "archtrace.test/archtrace-agent:1",
                        "imagePullPolicy": "IfNotPresent",
                        "args": ["--log=info"],
                        "env": [
                            { "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } },
                            { "name": "PLAIN", "value": "text" },
                        ],
                        "ports": [{ "name": "metrics", "containerPort": 9464 }],
                        "startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe,
                        "resources": { "requests": { "cpu": "20m", "memory": "64Mi" },
                            "limits": { "memory": "256Mi" } },
                        "securityContext": {
                            "privileged": false, "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "capabilities": { "drop": ["ALL"], "add": ["BPF", "PERFMON"] },
                        },
                        "volumeMounts": [{ "name": "proc", "mountPath": "/host/proc", "readOnly": true,
                            "mountPropagation": "HostToContainer" }],
                    }],
                    "volumes": [{ "name": "proc", "hostPath": { "path": "/proc", "type": "Directory" } }],
                },
            },
        },
    })
}

fn chart(objects: &[Value]) -> Chart {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let text = Value::from(objects.to_vec()).to_string();
    file.write_all(text.as_bytes()).expect("written");
    Chart::read(file.path()).expect("a list")
}

fn cluster() -> Cluster {
    Cluster {
        node: "node-1".to_owned(),
        profiles: "/profiles".into(),
        ..Cluster::default()
    }
}

fn requests(workload: &Workload) -> Result<(v1::PodSandboxConfig, v1::ContainerConfig)> {
    let cluster = cluster();
    let config = v1::PodSandboxConfig {
        linux: Some(v1::LinuxPodSandboxConfig::default()),
        ..v1::PodSandboxConfig::default()
    };
    let sandbox = sandbox(workload, config, Path::new("/logs"))?;
    let places = Places::from([("proc".to_owned(), "/proc".into())]);
    let identity = Identity {
        sandbox: &sandbox,
        attempt: 3,
        hosts: Path::new("/hosts"),
    };
    let container = container(workload, &places, &cluster, identity)?;
    Ok((sandbox, container))
}

#[test]
fn a_container_is_asked_for_as_the_chart_has_it() {
    let workload = chart(&[agent()]).workload("agent").expect("known");
    let (sandbox, container) = requests(&workload).expect("translated");
    assert_eq!(sandbox.annotations["a"], "b");
    let linux = container.linux.expect("Linux");
    let security = linux.security_context.expect("there");
    let capabilities = security.capabilities.expect("there");
    assert_eq!(capabilities.drop_capabilities, ["ALL"]);
    assert_eq!(capabilities.add_capabilities, ["BPF", "PERFMON"]);
    assert!(security.no_new_privs && security.readonly_rootfs && !security.privileged);
    assert_eq!(security.supplemental_groups, [7]);
    assert_eq!(security.run_as_user.map(|user| user.value), Some(0));
    let seccomp = security.seccomp.expect("there");
    assert_eq!(seccomp.localhost_ref, "/profiles/archtrace/agent.json");
    let namespaces = security.namespace_options.expect("there");
    assert_eq!(namespaces.pid(), v1::NamespaceMode::Node);
    assert_eq!(security.selinux_options.expect("there").r#type, "spc_t");
    let resources = linux.resources.expect("there");
    assert_eq!(
        (
            resources.memory_limit_in_bytes,
            resources.cpu_shares,
            resources.cpu_quota
        ),
        (256 << 20, 20, 0)
    );
    assert!((3..1000).contains(&resources.oom_score_adj));
    let envs = container.envs.iter();
    let envs: Vec<_> = envs.map(|env| (&*env.key, &*env.value)).collect();
    assert_eq!(envs, [("NODE", "node-1"), ("PLAIN", "text")]);
    let mount = &container.mounts[0];
    assert_eq!(
        (&*mount.container_path, mount.readonly),
        ("/host/proc", true)
    );
    assert_eq!(
        mount.propagation(),
        v1::MountPropagation::PropagationHostToContainer
    );
    assert_eq!(container.log_path, "agent/3.log");
}

#[test]
fn what_is_taken_away_is_gone() {
    let workload = chart(&[agent()]).workload("agent").expect("known");
    let less = workload.without("BPF").expect("it has it");
    assert_eq!(less.capabilities().expect("one container"), ["PERFMON"]);
    workload.without("SYS_ADMIN").expect_err("it has not");
    let (_, container) = requests(&workload.with_profile(None)).expect("translated");
    let security = container.linux.and_then(|linux| linux.security_context);
    let seccomp = security
        .and_then(|security| security.seccomp)
        .expect("there");
    assert_eq!(
        (seccomp.profile_type, seccomp.localhost_ref.as_str()),
        (v1::security_profile::ProfileType::RuntimeDefault.into(), "")
    );
}

/// Wherever in an agent another field is put, the chart is refused; but for what is the scheduler's.
#[test]
fn no_field_is_left_out() {
    let original = agent();
    let mut places = Vec::new();
    collect("", &original["spec"], &mut places);
    assert!(places.len() > 20, "{places:?}");
    for place in places {
        let mut changed = original.clone();
        let at = changed["spec"].pointer_mut(&place).expect("collected");
        at["another"] = json!("value");
        let accepted = chart(&[changed])
            .workload("agent")
            .and_then(|workload| requests(&workload))
            .is_ok();
        // Labels and annotations have any names.
        let free = ["labels", "annotations"]
            .iter()
            .any(|end| place.ends_with(end));
        let schedulers = ["updateStrategy", "affinity", "tolerations"];
        let schedulers = schedulers.iter().any(|part| place.contains(part));
        assert_eq!(accepted, free || schedulers, "{place}");
    }
}

/// Pointers to all objects below `value`.
fn collect(at: &str, value: &Value, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            places.push(at.to_owned());
            for (key, value) in fields {
                collect(&format!("{at}/{key}"), value, places);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(&format!("{at}/{index}"), item, places);
            }
        }
        _ => {}
    }
}

#[test]
fn a_service_leads_to_its_pods_by_the_same_port() {
    let service = |port: u16| {
        json!({ "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "agents", "namespace": "archtrace", "labels": {} },
            "spec": { "type": "ClusterIP", "selector": { "app.kubernetes.io/name": "archtrace-agent" },
                "ports": [{ "name": "m", "port": port, "targetPort": "metrics", "appProtocol": "http" }] } })
    };
    let hosts = |objects: &[Value]| {
        let chart = chart(objects);
        chart.hosts(&chart.workload("agent")?)
    };
    let led = hosts(&[agent(), service(9464)]).expect("it leads there");
    assert_eq!(led, ["agents.archtrace.svc"]);
    hosts(&[agent(), service(80)]).expect_err("nobody forwards it");
    hosts(&[agent()]).expect_err("there is none");
}
