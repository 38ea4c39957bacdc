//! What nodes run.

/// What a node runs beside pods: unit and binary.
pub(crate) const UNITS: [(&str, &str); 7] = [
    ("system.slice/kubelet.service", "/usr/bin/kubelet"),
    ("system.slice/containerd.service", "/usr/bin/containerd"),
    (
        "system.slice/containerd.service",
        "/usr/bin/containerd-shim-runc-v2",
    ),
    ("system.slice/ssh.service", "/usr/sbin/sshd"),
    ("system.slice/chrony.service", "/usr/sbin/chronyd"),
    (
        "system.slice/systemd-journald.service",
        "/usr/lib/systemd/systemd-journald",
    ),
    ("init.scope", "/usr/lib/systemd/systemd"),
];

/// DaemonSets: one pod on each node.
pub(crate) const DAEMON_SETS: [(&str, &str, &str); 8] = [
    ("kube-system", "kube-proxy", "/usr/local/bin/kube-proxy"),
    ("kube-system", "cilium", "/usr/bin/cilium-agent"),
    ("kube-system", "node-local-dns", "/node-cache"),
    (
        "kube-system",
        "csi-node-driver-registrar",
        "/csi-node-driver-registrar",
    ),
    (
        "monitoring",
        "prometheus-node-exporter",
        "/bin/node_exporter",
    ),
    ("logging", "fluent-bit", "/fluent-bit/bin/fluent-bit"),
    ("security", "falco", "/usr/bin/falco"),
    (
        "gpu-operator",
        "nvidia-device-plugin-daemonset",
        "/usr/bin/nvidia-device-plugin",
    ),
];

/// A workload is of a team and is a service.
pub(super) const TEAMS: [&str; 8] = [
    "payments",
    "checkout",
    "search",
    "identity",
    "catalog",
    "shipping",
    "analytics",
    "platform",
];
/// See [`TEAMS`].
pub(super) const SERVICES: [&str; 10] = [
    "api",
    "worker",
    "gateway",
    "scheduler",
    "frontend",
    "ingest",
    "exporter",
    "notifier",
    "cache",
    "migrator",
];
/// What an image is there to run.
pub(super) const PROGRAMS: [&str; 6] = [
    "/usr/local/bin/python3.11",
    "/usr/bin/node",
    "/opt/java/openjdk/bin/java",
    "/app/server",
    "/usr/local/bin/service",
    "/usr/sbin/nginx",
];
/// What its probes start.
pub(super) const HELPERS: [&str; 4] = ["/bin/sh", "/usr/bin/curl", "/bin/busybox", "/usr/bin/env"];
