//! Names out of `/var/log`, for nodes whose container runtime is not to be asked. The kubelet makes
//! `pods/<namespace>_<pod>_<uid>/<container>/` (`BuildPodLogsDirectory`, pkg/kubelet/kuberuntime) and links
//! `containers/<pod>_<namespace>_<container>-<id>.log` to it. Only the names are read.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::found::{Found, Place, Source};
use super::pod::Pod;

/// Entries that are looked at: several times a node's pods, and those that are not cleaned up yet.
const MAX_ENTRIES: usize = 8192;

/// What the names of logs tell of the container or pod at `place`.
pub(crate) fn look(logs: &Path, place: &Place) -> Option<Found> {
    let Place {
        pod_uid,
        container_id,
        unit: _,
    } = place;
    let log = (!container_id.is_empty())
        .then(|| find(&logs.join("containers"), |name| of_log(name, container_id)))
        .flatten();
    let directory = (!pod_uid.is_empty())
        .then(|| find(&logs.join("pods"), |name| of_directory(name, pod_uid)))
        .flatten();
    let (pod, container) = match (directory, log) {
        (Some(pod), log) => {
            let directory = format!("{}_{}_{pod_uid}", pod.namespace, pod.name);
            let container = match log {
                // A link can be somebody else's only by mistake, but then it is.
                Some((of, container)) if of.name == pod.name && of.namespace == pod.namespace => {
                    container
                }
                _ if container_id.is_empty() => String::new(),
                _ => only(&logs.join("pods").join(directory)).unwrap_or_default(),
            };
            (pod, container)
        }
        (None, Some((pod, container))) => (pod, container),
        (None, None) => return None,
    };
    Some(Found {
        container,
        ..Found::pod(Source::Logs, Arc::new(pod))
    })
}

/// `<namespace>_<pod>_<uid>`: the pod, if it has this UID.
fn of_directory(name: &str, uid: &str) -> Option<Pod> {
    let mut parts = name.splitn(3, '_');
    let (namespace, pod, of) = (parts.next()?, parts.next()?, parts.next()?);
    (of == uid && is_name(namespace) && is_name(pod)).then(|| Pod {
        namespace: namespace.to_owned(),
        name: pod.to_owned(),
        uid: uid.to_owned(),
        ..Pod::default()
    })
}

/// `<pod>_<namespace>_<container>-<id>.log`: pod and container, if it has this id.
fn of_log(name: &str, id: &str) -> Option<(Pod, String)> {
    let name = name
        .strip_suffix(".log")?
        .strip_suffix(id)?
        .strip_suffix('-')?;
    let mut parts = name.splitn(3, '_');
    let (pod, namespace, container) = (parts.next()?, parts.next()?, parts.next()?);
    ([pod, namespace, container].iter().all(|name| is_name(name))).then(|| {
        let pod = Pod {
            namespace: namespace.to_owned(),
            name: pod.to_owned(),
            ..Pod::default()
        };
        (pod, container.to_owned())
    })
}

/// Names of objects are such of the DNS.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
}

fn find<T>(directory: &Path, test: impl Fn(&str) -> Option<T>) -> Option<T> {
    names(directory).find_map(|name| test(&name))
}

/// The container of a pod that has but one.
fn only(directory: &Path) -> Option<String> {
    let mut names = names(directory).filter(|name| is_name(name));
    let first = names.next()?;
    names.next().is_none().then_some(first)
}

fn names(directory: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .take(MAX_ENTRIES)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UID: &str = "2b1a1b6e-8d3e-4c57-9a4f-0e5d2c1b3a49";

    /// Files below `/var/log`, whom is asked for, and namespace, pod and container.
    fn check(files: &[&str], [uid, id]: [&str; 2], expected: Option<[&str; 3]>) {
        let logs = tempfile::tempdir().expect("a temporary directory");
        for file in files {
            let path = logs.path().join(file.replace("{uid}", UID));
            fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            fs::write(path, "").expect("made");
        }
        let place = Place {
            pod_uid: uid.replace("{uid}", UID),
            container_id: id.to_owned(),
            ..Place::default()
        };
        let found = look(logs.path(), &place);
        let found = found
            .as_ref()
            .map(|found| [&*found.pod.namespace, &*found.pod.name, &*found.container]);
        assert_eq!(found, expected, "{files:?}");
    }

    #[test]
    fn names_come_from_directories_and_links() {
        let one = "pods/pay_api-7c9_{uid}/hsm/0.log";
        let other = "pods/pay_api-7c9_{uid}/side/0.log";
        let link = "containers/api-7c9_pay_hsm-0123.log";
        let both = ["{uid}", "0123"];
        check(&[one, other, link], both, Some(["pay", "api-7c9", "hsm"]));
        check(&[one], both, Some(["pay", "api-7c9", "hsm"]));
        check(&[one, other], both, Some(["pay", "api-7c9", ""]));
        check(&[one], ["{uid}", ""], Some(["pay", "api-7c9", ""]));
        check(&[link], both, Some(["pay", "api-7c9", "hsm"]));
        check(&[link], ["", "0123"], Some(["pay", "api-7c9", "hsm"]));
        // Static pods have a hash.
        check(
            &["pods/kube-system_etcd-n1_9f86d0/etcd/0.log"],
            ["9f86d0", "77"],
            Some(["kube-system", "etcd-n1", "etcd"]),
        );
        // Others', or nothing.
        check(
            &[one, "containers/x_pay_y-0123.log"],
            both,
            Some(["pay", "api-7c9", "hsm"]),
        );
        check(&[one, link], ["other", "4567"], None);
        check(&[], both, None);
        check(
            &[
                "pods/pay_{uid}/x",
                "pods/Pay_\x1b_{uid}/x",
                "containers/-0123.log",
            ],
            both,
            None,
        );
    }

    proptest! {
        #[test]
        fn what_the_kubelet_writes_is_read_back(
            [namespace, pod, container] in ["[a-z0-9][a-z0-9-]{0,9}", "[a-z0-9][a-z0-9.-]{0,9}", "[a-z0-9][a-z0-9-]{0,9}"],
            id in "[0-9a-f]{8}",
        ) {
            let log = format!("{pod}_{namespace}_{container}-{id}.log");
            let (told, name) = of_log(&log, &id).expect("one");
            prop_assert_eq!((&told.name, &told.namespace, &name), (&pod, &namespace, &container));
            let told = of_directory(&format!("{namespace}_{pod}_{id}"), &id).expect("one");
            prop_assert_eq!((&told.name, &told.namespace), (&pod, &namespace));
        }

        #[test]
        fn no_name_panics(name: String, id: String) {
            let _ = of_log(&name, &id);
            let _ = of_directory(&name, &id);
        }
    }
}
