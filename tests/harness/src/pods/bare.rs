//! Containers of runc alone, which an emulated CPU starts several times faster than containerd's. Their
//! cgroups are those of pods, and gone as soon as their process is.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{Kubelet, Qos, pod};

/// A file system and a pod for containers of runc.
#[derive(Debug)]
pub struct Bare<'a> {
    kubelet: &'a Kubelet,
    /// The pod's UID.
    pub uid: String,
    parent: String,
}

impl Kubelet {
    /// A pod that containerd does not know, of containers with one file.
    ///
    /// # Errors
    /// If their file system cannot be made.
    pub fn bare(&self, path: &str, content: &[u8]) -> Result<Bare<'_>> {
        let uid = pod::uid(self.number());
        let parent = pod::parent(&uid, Qos::BestEffort, self.runtime.systemd);
        self.cgroups.borrow_mut().push(parent.clone());
        let root = self.dir.join("bare/rootfs");
        let file = root.join(path.trim_start_matches('/'));
        for dir in [file.parent().unwrap_or(&root), &root.join("proc")] {
            fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        fs::write(&file, content).with_context(|| format!("write {}", file.display()))?;
        fs::set_permissions(&file, Permissions::from_mode(0o755))?;
        Ok(Bare {
            kubelet: self,
            uid,
            parent,
        })
    }
}

impl Bare<'_> {
    /// Runs `program` to its end in a container called `id`.
    ///
    /// # Errors
    /// If runc fails, or the program ends with another status than 0.
    pub fn run(&self, id: &str, program: &str) -> Result<()> {
        let systemd = self.kubelet.runtime.systemd;
        // As containerd has it (pkg/cri/sbserver: `getCgroupsPath`).
        let cgroup = if systemd {
            let slice = Path::new(&self.parent).file_name().unwrap_or_default();
            format!("{}:cri-containerd:{id}", slice.display())
        } else {
            format!("{}/{id}", self.parent)
        };
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {"args": [program], "cwd": "/", "user": {"uid": 0, "gid": 0}},
            "root": {"path": "rootfs", "readonly": true},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "cgroupsPath": cgroup,
                "namespaces": [{"type": "pid"}, {"type": "mount"}],
            },
        });
        let bundle = self.kubelet.dir.join("bare");
        let file = bundle.join("config.json");
        fs::write(&file, config.to_string())
            .with_context(|| format!("write {}", file.display()))?;
        let mut command = Command::new(self.kubelet.program("runc")?);
        command.arg("--root").arg(self.kubelet.dir.join("runc"));
        if systemd {
            command.arg("--systemd-cgroup");
        }
        command.args(["run", "--bundle"]).arg(&bundle).arg(id);
        let output = command
            .stdin(Stdio::null())
            .output()
            .context("start runc")?;
        ensure!(
            output.status.success(),
            "runc ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }
}
