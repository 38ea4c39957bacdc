//! Which of a process's cgroups says most.

use super::{Identity, of_cgroup};
use crate::text::escape;

/// The path that says most of whose a process is, out of `/proc/<pid>/cgroup` (cgroups(7)): lines of
/// `hierarchy:controllers:path`, one for v2 and one for each hierarchy of v1. Printable.
///
/// Where both are mounted, a container may be known to v1 only, and lie with v2 where its runtime does,
/// or at the root. So a path that names a container goes before one that names a unit; and where v2
/// says as much as others, it is v2's.
#[must_use]
pub fn path_of_process(content: &[u8]) -> Option<String> {
    let mut best: Option<((u8, bool), String)> = None;
    for line in content.split(|byte| *byte == b'\n') {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let (Some(hierarchy), Some(_), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        // The kernel appends this once the cgroup is removed (`proc_cgroup_show`, kernel/cgroup/cgroup.c).
        let path = escape(path.strip_suffix(b" (deleted)").unwrap_or(path));
        let rank = (telling(&of_cgroup(&path)), hierarchy == b"0");
        if best.as_ref().is_none_or(|(known, _)| *known < rank) {
            best = Some((rank, path));
        }
    }
    best.map(|(_, path)| path)
}

fn telling(identity: &Identity) -> u8 {
    let Identity {
        pod_uid,
        container_id,
        unit,
        ..
    } = identity;
    match (!pod_uid.is_empty(), !container_id.is_empty()) {
        (true, true) => 4,
        (false, true) => 3,
        (true, false) => 2,
        (false, false) => u8::from(!unit.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POD: &str = "/kubepods/pod9f86d081884c7d659a2feaa0c55ad015";
    const ID: &str = "5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c";

    fn check(content: &str, expected: Option<&str>) {
        let fill = |text: &str| text.replace("{pod}", POD).replace("{id}", ID);
        let path = path_of_process(fill(content).as_bytes());
        assert_eq!(path, expected.map(fill), "{content}");
    }

    #[test]
    fn v2_goes_first_unless_v1_says_more() {
        check(
            "0::/system.slice/cron.service\n",
            Some("/system.slice/cron.service"),
        );
        check("0::/\n", Some("/"));
        check("0::{pod}/{id}\n", Some("{pod}/{id}"));
        // Hybrid: v2 knows as much, nothing, or only the runtime.
        check(
            "12:memory:{pod}/{id}\n1:name=systemd:/x\n0::{pod}/{id}/child\n",
            Some("{pod}/{id}/child"),
        );
        check(
            "12:memory:{pod}/{id}\n1:name=systemd:/x\n0::/\n",
            Some("{pod}/{id}"),
        );
        check(
            "4:cpu,cpuacct:{pod}/{id}\n0::/system.slice/containerd.service\n",
            Some("{pod}/{id}"),
        );
        // v1 alone; the controllers that nobody limits stay at the root.
        check(
            "11:cpuset:/\n3:memory:{pod}/{id}\n1:name=systemd:/system.slice/containerd.service\n",
            Some("{pod}/{id}"),
        );
        check(
            "11:cpuset:/\n1:name=systemd:/system.slice/cron.service\n",
            Some("/system.slice/cron.service"),
        );
        check("11:cpuset:/\n9:memory:/\n", Some("/"));
        // A path may hold colons, and a cgroup may be gone.
        check(
            "0::/kubepods-podab.slice:cri-containerd:{id}\n",
            Some("/kubepods-podab.slice:cri-containerd:{id}"),
        );
        check("0::{pod}/{id} (deleted)\n", Some("{pod}/{id}"));
        check("0::/a\x1b\n", Some(r"/a\x1b"));
        check("", None);
        check("\n0:\ngarbage\n", None);
    }

    proptest! {
        #[test]
        fn any_content_gives_a_printable_path_or_none(content: Vec<u8>, text in "([0-9]{0,2}:[a-z,=]{0,9}:/[^\n]{0,20}\n){0,5}") {
            for content in [&content[..], text.as_bytes()] {
                let path = path_of_process(content).unwrap_or_default();
                prop_assert!(path.chars().all(crate::text::is_printable));
            }
        }
    }
}
