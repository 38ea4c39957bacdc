//! How containerd is set up.

use std::path::Path;

use super::{PAUSE, Runtime};

/// containerd's configuration (version 2 of it, which 1.6 and 2.x read) for one that keeps everything
/// below `dir`.
pub(super) fn containerd(runtime: &Runtime, dir: &Path, runc: &Path) -> String {
    let systemd = runtime.systemd;
    let socket = super::socket(runtime, dir);
    let socket = socket.display();
    let state = runtime.run.clone().unwrap_or_else(|| dir.join("state"));
    let state = state.display();
    let dir = dir.display();
    let runc = runc.display();
    // restrict_oom_score_adj: this process need not have CAP_SYS_RESOURCE.
    format!(
        r#"version = 2
root = "{dir}/root"
state = "{state}"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{dir}/cni"
  conf_dir = "{dir}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  SystemdCgroup = {systemd}
"#
    )
}
