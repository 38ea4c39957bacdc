//! Pods whose processes run under another kernel than the node's.
//!
//! gVisor's Sentry is a kernel in user space; Kata Containers and others boot one in a virtual
//! machine. What such a pod executes never reaches the node's kernel, and so no hook of ours: of it
//! nothing is known, and it must not be taken for native. (Fargate pods are on no node that an
//! agent could run on; they are missing among the nodes altogether.)
//!
//! All that the node has of such a pod is the program that stands for it, and the names of that
//! decide here, because there is nothing else to see. Two errors follow. A runtime under another
//! name goes unnoticed. A container that calls itself by one of these names is told as not covered,
//! although it is: what it runs is told all the same, so that it cannot hide anything this way.

/// What is seen of a process.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// `/proc/<pid>/comm`: its name, cut to 15 bytes.
    pub comm: &'a [u8],
    /// Where `/proc/<pid>/exe` leads; empty if that could not be read.
    pub exe: &'a [u8],
    /// The path of its cgroup.
    pub cgroup: &'a str,
}

/// `TASK_COMM_LEN` (include/linux/sched.h) without the NUL.
const MAX_COMM: usize = 15;

/// gVisor: itself, and what it calls its processes. Those are execs of `/proc/self/exe`, so that
/// their comm may be `exe`, too.
const GVISOR: [&str; 3] = ["runsc", "runsc-sandbox", "runsc-gofer"];

/// What Kata Containers puts between containerd and its virtual machines. Its comm is cut to that of
/// every shim.
const KATA_SHIM: &[u8] = b"containerd-shim-kata-v2";

/// Programs that run a virtual machine; those of QEMU have the machine's name behind.
const MONITORS: [&str; 3] = ["cloud-hypervisor", "qemu-kvm", "stratovirt"];
const QEMU: &[u8] = b"qemu-system-";

/// The runtime that `seen` is the outside of: `gvisor`, `kata`, `firecracker`, or `virtual-machine` for
/// one that does not say whose it is (KubeVirt's are such). `None` if it is none, or is not a pod's.
#[must_use]
pub fn runtime_of(seen: &Seen<'_>) -> Option<&'static str> {
    let is_kata_cgroup = components(seen).any(|part| part.starts_with("kata_"));
    let is_pod = components(seen).any(|part| part.starts_with("kubepods"));
    if !is_pod && !is_kata_cgroup {
        // Such as the runtime's own commands, below containerd.
        return None;
    }
    if GVISOR.iter().any(|name| seen.is(name)) {
        return Some("gvisor");
    }
    // The cgroups of its sandboxes are kata_<id>, kata_overhead/<id> holds what belongs to no pod
    // (docs/design/host-cgroups.md), and its releases are installed below /opt/kata.
    if seen.program() == KATA_SHIM || is_kata_cgroup {
        return Some("kata");
    }
    let is_firecracker = seen.is("firecracker");
    if !is_firecracker && !MONITORS.iter().any(|name| seen.is(name)) && !seen.is_qemu() {
        return None;
    }
    let is_katas = seen
        .exe
        .split(|byte| *byte == b'/')
        .any(|part| part == b"kata");
    Some(match (is_katas, is_firecracker) {
        (true, _) => "kata",
        (false, true) => "firecracker",
        (false, false) => "virtual-machine",
    })
}

impl Seen<'_> {
    /// The name of its file; empty if that is not known.
    fn program(&self) -> &[u8] {
        let path = self.exe.strip_suffix(b" (deleted)").unwrap_or(self.exe);
        path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    fn is(&self, name: &str) -> bool {
        let name = name.as_bytes();
        self.program() == name || self.comm == &name[..name.len().min(MAX_COMM)]
    }

    fn is_qemu(&self) -> bool {
        self.program().starts_with(QEMU) || self.comm.starts_with(QEMU)
    }
}

fn components<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    seen.cgroup.split('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POD: &str = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-3.scope";
    const KATA: &str = "/kubepods/besteffort/pod1-2/kata_3";

    #[test]
    fn sandboxes_are_known_by_their_names() {
        for (comm, exe, cgroup, expected) in [
            ("exe", "/usr/local/bin/runsc", POD, Some("gvisor")),
            ("exe", "/usr/local/bin/runsc (deleted)", POD, Some("gvisor")),
            ("runsc-sandbox", "", POD, Some("gvisor")),
            ("runsc-gofer", "/memfd:x", POD, Some("gvisor")),
            ("exe", "/usr/bin/runc", POD, None),
            (
                "runsc",
                "/usr/local/bin/runsc",
                "/system.slice/containerd.service",
                None,
            ),
            (
                "containerd-shim",
                "/usr/bin/containerd-shim-kata-v2",
                POD,
                Some("kata"),
            ),
            (
                "containerd-shim",
                "/usr/bin/containerd-shim-runc-v2",
                POD,
                None,
            ),
            (
                "containerd-shim",
                "/usr/bin/containerd-shim-kata-v2",
                "/system.slice/containerd.service",
                None,
            ),
            (
                "virtiofsd",
                "/opt/kata/libexec/virtiofsd",
                "/kata_overhead/3",
                Some("kata"),
            ),
            (
                "qemu-system-x86",
                "/usr/bin/qemu-system-x86_64",
                KATA,
                Some("kata"),
            ),
            (
                "qemu-system-x86",
                "/opt/kata/bin/qemu-system-x86_64",
                POD,
                Some("kata"),
            ),
            (
                "qemu-system-aar",
                "/usr/bin/qemu-system-aarch64",
                POD,
                Some("virtual-machine"),
            ),
            ("cloud-hyperviso", "", POD, Some("virtual-machine")),
            (
                "firecracker",
                "/usr/bin/firecracker",
                POD,
                Some("firecracker"),
            ),
            (
                "firecracker",
                "/opt/kata/bin/firecracker",
                POD,
                Some("kata"),
            ),
            (
                "qemu-system-x86",
                "/usr/bin/qemu-system-x86_64",
                "/user.slice",
                None,
            ),
            ("qemu-aarch64", "/usr/bin/qemu-aarch64", POD, None),
            ("nginx", "/usr/sbin/nginx", POD, None),
            ("", "", POD, None),
            ("", "", "", None),
        ] {
            let seen = Seen {
                comm: comm.as_bytes(),
                exe: exe.as_bytes(),
                cgroup,
            };
            assert_eq!(runtime_of(&seen), expected, "{comm} {exe} {cgroup}");
        }
    }

    proptest! {
        #[test]
        fn no_process_makes_it_panic(comm: Vec<u8>, exe: Vec<u8>, cgroup: String) {
            let _ = runtime_of(&Seen { comm: &comm, exe: &exe, cgroup: &cgroup });
        }

        #[test]
        fn what_is_in_no_pod_is_no_sandbox(comm: Vec<u8>, exe: Vec<u8>, cgroup in "(/[a-j.]{0,8}){0,4}") {
            prop_assert_eq!(runtime_of(&Seen { comm: &comm, exe: &exe, cgroup: &cgroup }), None);
        }
    }
}
