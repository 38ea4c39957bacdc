//! What the path of a cgroup says of its owner.

#[cfg(test)]
mod tests;

use super::Identity;

/// Whose the cgroup at `path` is, as far as its path says: a pod's UID and a container's id, or the
/// systemd unit. Paths of cgroup v2 and of any hierarchy of v1, printable or as they are.
///
/// The outermost pod counts, and in it the outermost container: whoever may make cgroups within a
/// container can call them what he likes, but stays below his own.
///
/// ```
/// let path = "/kubepods/burstable/pod2b1a1b6e-8d3e-4c57-9a4f-0e5d2c1b3a49/\
///             5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c";
/// let identity = archtrace_facts::identity::of_cgroup(path);
/// assert_eq!(identity.pod_uid, "2b1a1b6e-8d3e-4c57-9a4f-0e5d2c1b3a49");
/// assert!(identity.container_id.starts_with("5f3a9d0c"));
/// ```
#[must_use]
pub fn of_cgroup(path: &str) -> Identity {
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let mut above_is_pods = false;
    for (index, name) in names.iter().enumerate() {
        if let Some((pod_uid, within)) = pod(name, above_is_pods) {
            // `slice:prefix:id` names pod and container at once.
            let below = within.or_else(|| names.get(index + 1).copied());
            return in_pod(pod_uid, below);
        }
        // With the cgroupfs driver a QoS level may lie between; Guaranteed pods have none.
        above_is_pods = name.ends_with(KUBEPODS)
            || above_is_pods && matches!(*name, "besteffort" | "burstable");
    }
    if let Some(id) = names.iter().find_map(|name| container(name)) {
        return Identity {
            container_id: id.to_owned(),
            ..Identity::default()
        };
    }
    Identity {
        unit: unit(&names).unwrap_or_default(),
        ..Identity::default()
    }
}

/// The kubelet's top level (`defaultNodeAllocatableCgroupName`, pkg/kubelet/cm). `--cgroup-root` puts
/// something above, which the systemd driver makes part of each name: `kubelet-kubepods.slice` in kind.
const KUBEPODS: &str = "kubepods";

/// Digits of a container's id, which is a SHA-256 or as long as one.
const ID_DIGITS: usize = 64;

/// What container runtimes put in front of an id.
const PREFIXES: [&str; 5] = ["cri-containerd", "crio", "docker", "libpod", "nerdctl"];

/// The monitor of a container, which is not of the container (CRI-O, podman).
const MONITOR: &str = "conmon-";

fn in_pod(pod_uid: String, below: Option<&str>) -> Identity {
    let container_id = below.and_then(|name| container(name).or_else(|| bare_id(name)));
    let monitor = below.filter(|name| container_id.is_none() && name.contains(MONITOR));
    Identity {
        pod_uid,
        container_id: container_id.unwrap_or_default().to_owned(),
        unit: monitor.and_then(unit_name).unwrap_or_default(),
        ..Identity::default()
    }
}

/// The UID of the pod whose cgroup is called `name`, and the name of the container within if the same
/// name tells it. `above_is_pods` says whether it lies where the cgroupfs driver puts pods.
fn pod(name: &str, above_is_pods: bool) -> Option<(String, Option<&str>)> {
    if above_is_pods
        && let Some(uid) = name.strip_prefix("pod")
        && is_word(uid)
    {
        return Some((uid.to_owned(), None));
    }
    // runc without --systemd-cgroup takes the systemd driver's "slice:prefix:name" for a path.
    let (slice, within) = match name.split_once(':') {
        Some((slice, within)) => (slice, Some(within)),
        None => (name, None),
    };
    let (above, uid) = slice.strip_suffix(".slice")?.rsplit_once("-pod")?;
    let above = above
        .strip_suffix("-besteffort")
        .or_else(|| above.strip_suffix("-burstable"))
        .unwrap_or(above);
    // A dash separates levels of slices, so that the kubelet writes another character
    // (`escapeSystemdCgroupName`, pkg/kubelet/cm/cgroup_manager_linux.go).
    (above.ends_with(KUBEPODS) && is_word(uid)).then(|| (uid.replace('_', "-"), within))
}

/// The id of the container whose cgroup is called `name`, wherever that lies.
fn container(name: &str) -> Option<&str> {
    if is_id(name) {
        return Some(name);
    }
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (prefix, id) = match name.rsplit_once(':') {
        Some((prefix, id)) => (prefix.rsplit(':').next()?, id),
        None => name.rsplit_once('-')?,
    };
    (is_id(id) && PREFIXES.contains(&prefix)).then_some(id)
}

/// An id that a container has only for who made it without a kubelet (`ctr run`), which may be any
/// word: it is believed in a pod, behind the prefix of a runtime.
fn bare_id(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    PREFIXES.iter().find_map(|prefix| {
        let id = name.strip_prefix(prefix)?.strip_prefix(['-', ':'])?;
        (is_word(id) && !id.starts_with(MONITOR)).then_some(id)
    })
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What UIDs and ids are made of.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The unit of systemd (of PID 1, not of a user's own): the first name that is no slice, else the
/// innermost slice (`cg_path_get_unit`, systemd's src/basic/cgroup-util.c).
fn unit(names: &[&str]) -> Option<String> {
    let mut slice = None;
    // A process outside of the reader's cgroup namespace is shown with `..` (cgroup_namespaces(7)).
    for name in names.iter().filter(|name| **name != "..") {
        let unit = unit_name(name)?;
        if !unit.ends_with(".slice") {
            return Some(unit);
        }
        slice = Some(unit);
    }
    slice
}

/// The unit that a directory of systemd belongs to.
fn unit_name(directory: &str) -> Option<String> {
    // An underscore keeps a name apart from the kernel's own files (`cg_escape`).
    let name = directory.strip_prefix('_').unwrap_or(directory);
    // Printable paths have backslashes escaped; those in units stand for other characters
    // (systemd-escape(1)), and systemctl shows and takes them.
    let name = name.replace(r"\x5c", r"\");
    let (stem, suffix) = name.rsplit_once('.')?;
    // Only these have processes (systemd.unit(5)).
    let has_processes = matches!(
        suffix,
        "service" | "scope" | "slice" | "socket" | "mount" | "swap"
    );
    // VALID_CHARS_WITH_AT of src/basic/unit-name.c.
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    (has_processes && !stem.is_empty() && stem.bytes().all(is_valid)).then_some(name)
}
