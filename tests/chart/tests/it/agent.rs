//! What agents may do on a node: what they need, and nothing else.

use std::fs;

use archtrace_chart::{path, with};
use serde_json::{Value, json};

use super::matrix::matrix;

#[test]
fn an_agent_has_the_least_privileges() {
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            let pod = &rendered.pod("agent").expect("an agent")["spec"];
            let container = &pod["containers"][0];
            let context = &container["securityContext"];
            for (what, is, shall) in [
                (
                    "capabilities",
                    &context["capabilities"],
                    json!({
                    "drop": ["ALL"], "add": ["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"] }),
                ),
                ("privileged", &context["privileged"], json!(false)),
                (
                    "escalation",
                    &context["allowPrivilegeEscalation"],
                    json!(false),
                ),
                (
                    "root file system",
                    &context["readOnlyRootFilesystem"],
                    json!(true),
                ),
                ("hostPID", &pod["hostPID"], json!(true)),
                ("hostNetwork", &pod["hostNetwork"], Value::Null),
                ("hostIPC", &pod["hostIPC"], Value::Null),
                (
                    "API token",
                    &pod["automountServiceAccountToken"],
                    json!(false),
                ),
                (
                    "CPU limit",
                    &container["resources"]["limits"]["cpu"],
                    Value::Null,
                ),
                (
                    "memory limit",
                    &container["resources"]["limits"]["memory"],
                    json!("256Mi"),
                ),
                (
                    "CPU request",
                    &container["resources"]["requests"]["cpu"],
                    json!("20m"),
                ),
                (
                    "memory request",
                    &container["resources"]["requests"]["memory"],
                    json!("64Mi"),
                ),
            ] {
                assert_eq!(*is, shall, "{name}: {what}");
            }
            assert_eq!(
                pod["containers"].as_array().map(Vec::len),
                Some(1),
                "{name}"
            );
            let seccomp = &pod["securityContext"]["seccompProfile"]["type"];
            assert!(
                *seccomp == "RuntimeDefault" || *seccomp == "Localhost",
                "{name}"
            );
        }
    });
}

/// Its own two directories it writes; everything else of the node it only reads.
#[test]
fn an_agent_writes_where_its_own_things_are() {
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            let pod = &rendered.pod("agent").expect("an agent")["spec"];
            let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
            let mounts = list(&pod["containers"][0]["volumeMounts"]);
            let writable: Vec<_> = list(&pod["volumes"])
                .iter()
                .filter(|volume| !volume["hostPath"].is_null())
                .filter(|volume| {
                    mounts
                        .iter()
                        .any(|mount| mount["name"] == volume["name"] && mount["readOnly"] != true)
                })
                .filter_map(|volume| volume["hostPath"]["path"].as_str().map(str::to_owned))
                .collect();
            let expected: &[&str] = match name.as_str() {
                "everything-off" => &[],
                _ => &["/var/lib/archtrace", "/run/archtrace"],
            };
            assert_eq!(writable, expected, "{name}");
        }
    });
}

#[test]
fn no_role_is_bound_to_an_agent() {
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            let kinds = ["ClusterRoleBinding", "RoleBinding"];
            let bindings = kinds.iter().flat_map(|kind| rendered.of_kind(kind));
            let subjects =
                bindings.flat_map(|binding| binding["subjects"].as_array().into_iter().flatten());
            for subject in subjects {
                assert_eq!(subject["kind"], "ServiceAccount", "{name}");
                assert_eq!(subject["name"], "archtrace-collector", "{name}");
            }
        }
    });
}

#[test]
fn an_agent_comes_to_every_node_but_fargate() {
    with(|tools| {
        let rendered = tools
            .render("{}", "archtrace", "archtrace")
            .expect("renders");
        let set = rendered.of_kind("DaemonSet").next().expect("a DaemonSet");
        assert_eq!(
            set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"],
            "10%"
        );
        let pod = &set["spec"]["template"]["spec"];
        assert_eq!(pod["tolerations"], json!([{ "operator": "Exists" }]));
        let terms = &pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
            ["nodeSelectorTerms"];
        assert_eq!(
            terms[0]["matchExpressions"],
            json!([
                { "key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"] },
                { "key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"] },
            ])
        );
    });
}

/// The token is for the collector alone: the API server does not take it.
#[test]
fn tokens_are_for_the_collector() {
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            let pod = &rendered.pod("agent").expect("an agent")["spec"];
            let volumes = pod["volumes"].as_array().into_iter().flatten();
            let sources = volumes.flat_map(|volume| {
                volume["projected"]["sources"]
                    .as_array()
                    .into_iter()
                    .flatten()
            });
            let audiences: Vec<_> = sources
                .map(|source| &source["serviceAccountToken"]["audience"])
                .collect();
            let expected: &[Value] = match name.as_str() {
                "everything-off" | "certificates" | "agents-only" | "node" => &[],
                _ => &[json!("archtrace")],
            };
            assert!(
                audiences.iter().copied().eq(expected),
                "{name}: {audiences:?}"
            );
        }
    });
}

/// The stricter profile of seccomp lets agents load programs, and nobody alter a process, a mount or the kernel.
#[test]
fn the_profile_forbids_what_alters() {
    let profile = fs::read_to_string(path("deploy/chart/files/seccomp.json")).expect("is read");
    let profile: Value = serde_json::from_str(&profile).expect("JSON");
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules = profile["syscalls"].as_array().expect("rules");
    let [rule] = rules.as_slice() else {
        panic!("one rule: {rules:?}")
    };
    assert_eq!(rule["action"], "SCMP_ACT_ALLOW");
    let names = rule["names"].as_array().expect("names");
    let is_allowed = |name: &str| names.iter().any(|known| known == name);
    for name in [
        "bpf",
        "capset",
        "perf_event_open",
        "openat2",
        "memfd_create",
        "execve",
        "epoll_pwait",
    ] {
        assert!(is_allowed(name), "{name}");
    }
    for name in [
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "mount",
        "umount2",
        "unshare",
        "setns",
        "pivot_root",
        "chroot",
        "init_module",
        "finit_module",
        "delete_module",
        "kexec_load",
        "keyctl",
        "reboot",
        "setuid",
        "chown",
    ] {
        assert!(!is_allowed(name), "{name}");
    }
}
