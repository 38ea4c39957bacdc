use super::*;
use proptest::prelude::*;

const UID: &str = "2b1a1b6e-8d3e-4c57-9a4f-0e5d2c1b3a49";
const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015";
const ID: &str = "5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c";

/// `path` with `{uid}`, `{_uid}`, `{hash}`, `{id}` and `{other}` in it, and the expected pod, container and unit.
fn check(path: &str, [pod, container, unit]: [&str; 3]) {
    let path = fill(path);
    let identity = of_cgroup(&path);
    let expected = Identity {
        pod_uid: fill(pod),
        container_id: fill(container),
        unit: fill(unit),
        ..Identity::default()
    };
    assert_eq!(identity, expected, "{path}");
}

fn fill(text: &str) -> String {
    text.replace("{uid}", UID)
        .replace("{_uid}", &UID.replace('-', "_"))
        .replace("{hash}", HASH)
        .replace("{id}", ID)
        .replace("{other}", &ID.replace('5', "7"))
}

#[test]
fn the_systemd_driver_names_pods_by_slices() {
    for qos in ["", "-besteffort", "-burstable"] {
        let level = format!("kubepods{qos}.slice");
        let above = match qos {
            "" => "/kubepods.slice".to_owned(),
            _ => format!("/kubepods.slice/{level}"),
        };
        let pod = format!("{above}/kubepods{qos}-pod{{_uid}}.slice");
        check(&pod, ["{uid}", "", ""]);
        for (below, id) in [
            ("cri-containerd-{id}.scope", "{id}"),
            ("crio-{id}.scope", "{id}"),
            ("crio-{id}.scope/container", "{id}"),
            ("docker-{id}.scope", "{id}"),
            // A container with an init of its own, and one that makes containers.
            ("cri-containerd-{id}.scope/init.scope", "{id}"),
            (
                "cri-containerd-{id}.scope/system.slice/cron.service",
                "{id}",
            ),
            ("cri-containerd-{id}.scope/docker/{other}", "{id}"),
            ("cri-containerd-{id}.scope/kubepods/podX/{other}", "{id}"),
            // Made by hand.
            ("cri-containerd-test-1.scope", "test-1"),
            ("something-else.scope", ""),
        ] {
            check(&format!("{pod}/{below}"), ["{uid}", id, ""]);
        }
        check(
            &format!("{pod}/crio-conmon-{{id}}.scope"),
            ["{uid}", "", "crio-conmon-{id}.scope"],
        );
    }
}

#[test]
fn the_cgroupfs_driver_names_pods_by_directories() {
    for above in [
        "/kubepods",
        "/kubepods/besteffort",
        "/kubepods/burstable",
        "/some/root/kubepods/burstable",
    ] {
        check(&format!("{above}/pod{{uid}}"), ["{uid}", "", ""]);
        for (below, id) in [
            ("{id}", "{id}"),
            ("{id}/a/b", "{id}"),
            ("{id}/kubepods/pod1/{other}", "{id}"),
            ("crio-{id}", "{id}"),
            ("crio-conmon-{id}", ""),
        ] {
            check(&format!("{above}/pod{{uid}}/{below}"), ["{uid}", id, ""]);
        }
    }
}

#[test]
fn static_pods_have_a_hash() {
    check(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{hash}.slice/cri-containerd-{id}.scope",
        ["{hash}", "{id}", ""],
    );
    check("/kubepods/burstable/pod{hash}/{id}", ["{hash}", "{id}", ""]);
    // The kubelet makes the UID of one with a name for it too.
    check("/kubepods/podmy-own.uid/{id}", ["my-own.uid", "{id}", ""]);
}

#[test]
fn nodes_in_containers_have_more_above() {
    for above in [
        "/docker/{other}",
        "/system.slice/docker-{other}.scope",
        "/machine.slice/libpod-{other}.scope/container",
        "/../../docker/{other}",
    ] {
        check(
            &format!(
                "{above}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/\
                 kubelet-kubepods-besteffort-pod{{_uid}}.slice/cri-containerd-{{id}}.scope"
            ),
            ["{uid}", "{id}", ""],
        );
        check(
            &format!("{above}/kubelet/kubepods/besteffort/pod{{uid}}/{{id}}"),
            ["{uid}", "{id}", ""],
        );
        check(
            &format!("{above}/kubelet.slice/kubelet.service"),
            ["", "{other}", ""],
        );
    }
}

#[test]
fn runc_takes_what_is_for_systemd_as_a_path() {
    for above in ["", "/system.slice/containerd.service", "/docker/{other}"] {
        for (slice, uid) in [
            ("kubepods-besteffort-pod{_uid}.slice", "{uid}"),
            ("kubepods-pod{_uid}.slice", "{uid}"),
            ("kubepods-burstable-pod{hash}.slice", "{hash}"),
        ] {
            check(
                &format!("{above}/{slice}:cri-containerd:{{id}}"),
                [uid, "{id}", ""],
            );
            check(
                &format!("{above}/{slice}:cri-containerd:short-1/x"),
                [uid, "short-1", ""],
            );
            check(&format!("{above}/{slice}:crio:{{id}}"), [uid, "{id}", ""]);
        }
    }
    check("/system.slice:docker:{id}", ["", "{id}", ""]);
}

#[test]
fn containers_without_pods_have_an_id() {
    for path in [
        "/docker/{id}",
        "/docker/{id}/init.scope",
        "/system.slice/docker-{id}.scope",
        "/machine.slice/libpod-{id}.scope/container",
        "/libpod_parent/libpod-{id}",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope",
        "/system.slice/nerdctl-{id}.scope",
        "/k8s.io/{id}",
        "/actions_job/{id}",
    ] {
        check(path, ["", "{id}", ""]);
    }
    check(
        "/machine.slice/libpod-conmon-{id}.scope",
        ["", "", "libpod-conmon-{id}.scope"],
    );
}

#[test]
fn the_hosts_own_have_a_unit() {
    for (path, unit) in [
        ("/system.slice/cron.service", "cron.service"),
        ("/system.slice/containerd.service", "containerd.service"),
        ("/init.scope", "init.scope"),
        ("/system.slice/foo.service/payload/x.scope", "foo.service"),
        (
            "/system.slice/system-getty.slice/getty@tty1.service",
            "getty@tty1.service",
        ),
        // As the kernel has it, and printable.
        (r"/system.slice/a@b\x2dc.service", r"a@b\x2dc.service"),
        (r"/system.slice/a@b\x5cx2dc.service", r"a@b\x2dc.service"),
        (
            r"/system.slice/dev-disk-by\x5cx2duuid.swap",
            r"dev-disk-by\x2duuid.swap",
        ),
        ("/system.slice/_memory.service", "memory.service"),
        ("/runtime.slice/kubelet.service", "kubelet.service"),
        (
            "/user.slice/user-1000.slice/session-3.scope",
            "session-3.scope",
        ),
        // A user may call his units as he likes.
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/falcon-sensor.service",
            "user@1000.service",
        ),
        ("/system.slice", "system.slice"),
        ("/a.slice/a-b.slice", "a-b.slice"),
        (
            "/machine.slice/systemd-nspawn@x.service/payload",
            "systemd-nspawn@x.service",
        ),
        ("/../system.slice/cron.service", "cron.service"),
        (
            "/kubepods.slice/kubepods-burstable.slice",
            "kubepods-burstable.slice",
        ),
        // Not systemd's.
        ("/", ""),
        ("", ""),
        ("/cron.service.d", ""),
        ("/x/cron.service", ""),
        ("/.service", ""),
        ("/system.slice/a b.service", ""),
        ("/system.slice/a\x1b.service", ""),
        ("/kubepods", ""),
        ("/kubepods/burstable", ""),
        ("/pod1234/x", ""),
        ("/besteffort/pod1234", ""),
    ] {
        check(path, ["", "", unit]);
    }
}

/// Names that may mean something, and any others.
fn name() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "kubepods",
        "burstable",
        "besteffort",
        "pod{uid}",
        "pod{hash}",
        "pod",
        "{id}",
        "kubepods.slice",
        "kubepods-pod{_uid}.slice",
        "kubepods-burstable-pod{_uid}.slice",
        "kubepods-pod{_uid}.slice:cri-containerd:{id}",
        "cri-containerd-{id}.scope",
        "-pod.slice",
        "crio-conmon-{id}.scope",
        "docker-{id}.scope",
        "docker",
        "system.slice",
        "a@b.service",
        "..",
        "",
        ":",
        "::",
        "-.scope",
        ".slice",
        "_",
        "cri-containerd-.scope",
    ];
    prop_oneof![
        proptest::sample::select(KNOWN).prop_map(fill),
        "[-_.:@\\\\a-f0-9]{0,70}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn what_is_told_is_part_of_the_path(names in proptest::collection::vec(name(), 0..8)) {
        let path = format!("/{}", names.join("/"));
        let Identity { pod_uid, container_id, unit, .. } = of_cgroup(&path);
        let raw = path.replace(r"\x5c", r"\");
        prop_assert!(path.contains(&pod_uid) || path.contains(&pod_uid.replace('-', "_")), "{pod_uid}");
        prop_assert!(path.contains(&container_id), "{container_id}");
        prop_assert!(raw.contains(&unit), "{unit}");
        for text in [&pod_uid, &container_id, &unit] {
            prop_assert!(text.chars().all(crate::text::is_printable));
        }
        // A process of the host is not in a container.
        prop_assert!(unit.is_empty() || container_id.is_empty());
    }

    #[test]
    fn nobody_poses_as_another_pod(names in proptest::collection::vec(name(), 0..8)) {
        let own = format!("/kubepods/burstable/pod{UID}/{ID}");
        let below = format!("{own}/{}", names.join("/"));
        prop_assert_eq!(of_cgroup(&below), of_cgroup(&own));
    }
}
