//! What a pod belongs to.

use std::collections::BTreeMap;

/// What a pod belongs to, as kind and name, such as `Deployment/api`.
///
/// The container runtime does not know owners, so this is derived from the labels that controllers put
/// on their pods and from how they name them. It is right for Kubernetes' own controllers and Argo's
/// rollouts; whatever else makes pods is not seen, and neither is who owns a Job or a Deployment. A
/// collector that may ask the Kubernetes API knows better ([`crate::controllers`]).
/// Where anything does not fit, and for static pods, it is `Pod` and the name: less, but not wrong.
#[must_use]
pub fn workload(
    pod: &str,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) -> String {
    if pod.is_empty() {
        return String::new();
    }
    let label = |key: &str| labels.get(key).map(String::as_str);
    let owner = if is_static(annotations) {
        None
    } else if let Some(job) = label("batch.kubernetes.io/job-name").or_else(|| label("job-name")) {
        Some(of_job(job))
    } else if let Some(hash) = label("rollouts-pod-template-hash") {
        of_replica_set(pod, hash).map(|name| ("Rollout", name))
    } else if let Some(hash) = label("pod-template-hash") {
        of_replica_set(pod, hash).map(|name| ("Deployment", name))
    } else if let Some(revision) = label("controller-revision-hash") {
        of_revision(pod, revision, label("statefulset.kubernetes.io/pod-name"))
    } else {
        None
    };
    let (kind, name) = owner.unwrap_or(("Pod", pod));
    format!("{kind}/{name}")
}

/// Characters that the API server appends to a generated name (`randomLength`,
/// k8s.io/apiserver/pkg/storage/names/generate.go).
const RANDOM: usize = 5;
/// They come from these (`alphanums`, k8s.io/apimachinery/pkg/util/rand).
const ALPHABET: &str = "bcdfghjklmnpqrstvwxz2456789";
/// What is longer is cut before they are appended (`MaxGeneratedNameLength`).
const MAX_BASE: usize = 63 - RANDOM;

/// When CronJobs began to name Jobs by minutes (Kubernetes 1.20): December 2020, in minutes since 1970.
/// Dates such as 20261231 are less.
const FIRST_MINUTE: u32 = 26_700_000;
/// Digits of such a number until 2160.
const MINUTE_DIGITS: usize = 8;

/// Static pods come from a file on the node (`ConfigSourceAnnotationKey`, pkg/kubelet/types).
fn is_static(annotations: &BTreeMap<String, String>) -> bool {
    annotations
        .get("kubernetes.io/config.source")
        .is_some_and(|source| source != "api")
}

/// A CronJob's Jobs have the time they are for in their name (`getJobName`,
/// pkg/controller/cronjob/cronjob_controllerv2.go).
fn of_job(job: &str) -> (&'static str, &str) {
    match job.rsplit_once('-') {
        Some((cron, minute)) if !cron.is_empty() && is_minute(minute) => ("CronJob", cron),
        _ => ("Job", job),
    }
}

fn is_minute(text: &str) -> bool {
    text.len() == MINUTE_DIGITS
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse().is_ok_and(|minute: u32| minute >= FIRST_MINUTE)
}

/// `<name>-<hash>-<random>`, of which the hash may be cut.
fn of_replica_set<'a>(pod: &'a str, hash: &str) -> Option<&'a str> {
    let base = without_random(pod)?;
    if base.len() < MAX_BASE {
        let name = base.strip_suffix('-')?.strip_suffix(hash)?;
        return some(name.strip_suffix('-')?);
    }
    // The longest first, so that a name is not cut short by what looks like the hash's beginning.
    let cut = (0..=hash.len()).rev().filter_map(|end| hash.get(..end));
    let whole = base
        .strip_suffix('-')
        .and_then(|base| base.strip_suffix(hash));
    whole
        .or_else(|| cut.into_iter().find_map(|hash| base.strip_suffix(hash)))
        .and_then(|name| name.strip_suffix('-'))
        .and_then(some)
}

/// DaemonSets call their pods `<name>-<random>`, and StatefulSets `<name>-<ordinal>`.
fn of_revision<'a>(
    pod: &'a str,
    revision: &str,
    stateful: Option<&str>,
) -> Option<(&'static str, &'a str)> {
    if stateful.is_some() {
        let (name, ordinal) = pod.rsplit_once('-')?;
        let is_ordinal = !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit());
        return is_ordinal.then_some(("StatefulSet", name));
    }
    // The revision of a DaemonSet is a hash alone; others' have a name in front of it.
    if revision.contains('-') {
        return None;
    }
    let base = without_random(pod)?;
    // A name that was cut is not known.
    (base.len() < MAX_BASE).then_some(())?;
    Some(("DaemonSet", some(base.strip_suffix('-')?)?))
}

fn without_random(pod: &str) -> Option<&str> {
    let (base, random) = pod.split_at_checked(pod.len().checked_sub(RANDOM)?)?;
    random.chars().all(|c| ALPHABET.contains(c)).then_some(base)
}

fn some(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    fn check(pod: &str, labels: &[(&str, &str)], expected: &str) {
        assert_eq!(
            workload(pod, &map(labels), &map(&[])),
            expected,
            "{pod} {labels:?}"
        );
    }

    const HASH: (&str, &str) = ("pod-template-hash", "7c9f8d5b6");
    const REVISION: (&str, &str) = ("controller-revision-hash", "5d8c7b9f6");

    #[test]
    fn controllers_are_known_by_their_labels() {
        check("api-7c9f8d5b6-x2k4z", &[HASH], "Deployment/api");
        check(
            "api-v2-7c9f8d5b6-x2k4z",
            &[HASH, ("app", "api")],
            "Deployment/api-v2",
        );
        check(
            "web-7c9f8d5b6-x2k4z",
            &[("rollouts-pod-template-hash", "7c9f8d5b6")],
            "Rollout/web",
        );
        check("falcon-x2k4z", &[REVISION], "DaemonSet/falcon");
        let stateful = ("statefulset.kubernetes.io/pod-name", "db-12");
        check(
            "db-12",
            &[("controller-revision-hash", "db-5d8c7b9f6"), stateful],
            "StatefulSet/db",
        );
        check("migrate-x2k4z", &[("job-name", "migrate")], "Job/migrate");
        check(
            "migrate-0-x2k4z",
            &[
                ("batch.kubernetes.io/job-name", "migrate"),
                ("job-name", "other"),
            ],
            "Job/migrate",
        );
        check(
            "nightly-29914560-x2k4z",
            &[("job-name", "nightly-29914560")],
            "CronJob/nightly",
        );
        check("bare", &[], "Pod/bare");
        check("bare", &[("app", "bare")], "Pod/bare");
        check("", &[HASH], "");
    }

    #[test]
    fn what_does_not_fit_is_a_pod() {
        for pod in [
            "api",
            "api-x2k4z",
            "api-7c9f8d5b7-x2k4z",
            "-7c9f8d5b6-x2k4z",
            "api-7c9f8d5b6-aeiou",
            "ж",
        ] {
            check(pod, &[HASH], &format!("Pod/{pod}"));
        }
        for pod in ["falcon", "x2k4z", "-x2k4z", "falcon-12345"] {
            check(pod, &[REVISION], &format!("Pod/{pod}"));
        }
        // Of a controller that is none of Kubernetes'.
        check(
            "set-x2k4z",
            &[("controller-revision-hash", "set-5d8c7b9f6")],
            "Pod/set-x2k4z",
        );
        check(
            "db-x",
            &[REVISION, ("statefulset.kubernetes.io/pod-name", "db-x")],
            "Pod/db-x",
        );
        // A date, a build number, no name.
        for job in [
            "report-20261125",
            "build-12345",
            "29914560",
            "-29914560",
            "a-+9914560",
        ] {
            check("some-x2k4z", &[("job-name", job)], &format!("Job/{job}"));
        }
    }

    #[test]
    fn names_that_were_cut_are_told_if_they_are_whole() {
        for (name, whole) in [
            (48, true),
            (49, true),
            (52, true),
            (57, true),
            (58, false),
            (70, false),
        ] {
            let name = "n".repeat(name);
            let full = format!("{name}-7c9f8d5b6-");
            let pod = format!("{}x2k4z", &full[..full.len().min(MAX_BASE)]);
            let expected = if whole {
                format!("Deployment/{name}")
            } else {
                format!("Pod/{pod}")
            };
            check(&pod, &[HASH], &expected);
        }
    }

    #[test]
    fn static_pods_are_their_own() {
        let labels = map(&[HASH]);
        for (source, expected) in [
            ("file", "Pod/etcd-7c9f8d5b6-x2k4z"),
            ("http", "Pod/etcd-7c9f8d5b6-x2k4z"),
            ("api", "Deployment/etcd"),
        ] {
            let annotations = map(&[("kubernetes.io/config.source", source)]);
            assert_eq!(
                workload("etcd-7c9f8d5b6-x2k4z", &labels, &annotations),
                expected
            );
        }
    }

    proptest! {
        #[test]
        fn any_pod_belongs_to_something_of_its_name(
            pod in prop_oneof!["[a-z2-9-]{1,70}", any::<String>()],
            hash in "[a-z0-9]{0,10}",
            key in proptest::sample::select(&["pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash"][..]),
        ) {
            let told = workload(&pod, &map(&[(key, &hash)]), &map(&[]));
            match told.split_once('/') {
                Some((_, name)) => prop_assert!(!name.is_empty() && pod.starts_with(name)),
                None => prop_assert!(pod.is_empty()),
            }
        }
    }
}
