//! Every set of values in `deploy/chart/ci` renders, and Kubernetes takes what it makes.

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;

use archtrace_chart::{Rendered, Tools, path, with};
use serde_json::json;

/// What `helm install` is told in the documents.
pub(crate) const NAME: &str = "archtrace";
pub(crate) const NAMESPACE: &str = "archtrace";

/// Each set of values, by its name, and what it makes: rendered once, since Helm makes keys for some.
pub(crate) fn matrix(tools: &mut Tools) -> &'static [(String, Rendered)] {
    static MATRIX: OnceLock<Vec<(String, Rendered)>> = OnceLock::new();
    MATRIX.get_or_init(|| {
        let rendered = values().into_iter().map(|(name, values)| {
            let rendered = tools.render(&values, NAME, NAMESPACE);
            let rendered = rendered.unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, rendered)
        });
        rendered.collect()
    })
}

/// The files, sorted.
fn values() -> Vec<(String, String)> {
    let entries = fs::read_dir(path("deploy/chart/ci")).expect("there are values");
    let mut values: Vec<_> = entries
        .map(|entry| entry.expect("is read").path())
        .map(|file| {
            let name = file.file_stem().expect("has a name").to_string_lossy();
            let text = fs::read_to_string(&file).expect("is read");
            (name.into_owned(), text)
        })
        .collect();
    values.sort();
    assert!(values.len() >= 8, "{} sets of values", values.len());
    values
}

#[test]
fn helm_has_nothing_against_the_chart() {
    with(|tools| assert_eq!(tools.lint(), Vec::<String>::new()));
}

#[test]
fn kubernetes_takes_everything_strictly() {
    with(|tools| {
        for (name, rendered) in matrix(tools) {
            assert!(!rendered.objects.is_empty(), "{name}");
            for object in &rendered.objects {
                let valid = tools.validate(object);
                let (kind, of) = (&object["kind"], &object["metadata"]["name"]);
                assert!(valid.is_ok(), "{name}: {kind} {of}: {valid:?}");
            }
        }
    });
}

#[test]
fn schemas_are_strict() {
    with(|tools| {
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a" },
            "spec": { "hostPid": true, "containers": [{ "name": "a" }] } });
        let monitor = json!({ "apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor",
            "metadata": { "name": "a" },
            "spec": { "selector": {}, "podMetricsEndpoints": [{ "honourLabels": true }] } });
        let certificate = json!({ "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": { "name": "a" }, "spec": { "dnsNames": ["a"] } });
        let unknown = json!({ "apiVersion": "v1", "kind": "Port", "metadata": { "name": "a" } });
        for (object, said) in [
            (pod, "hostPid"),
            (monitor, "honourLabels"),
            (certificate, "secretName"),
            (unknown, "Port"),
        ] {
            let error = tools.validate(&object).expect_err("is refused");
            assert!(error.contains(said), "{error}");
        }
    });
}

/// Releases of other names and namespaces, and two of one cluster, have names of their own.
#[test]
fn releases_do_not_meet() {
    with(|tools| {
        let mut seen = BTreeSet::new();
        for (name, namespace) in [
            ("archtrace", "archtrace"),
            ("archtrace", "other"),
            ("mine", "other"),
            (
                "a-name-of-fifty-three-characters-that-helm-just-allows",
                "other",
            ),
        ] {
            let name = &name[..name.len().min(53)];
            let rendered = tools.render("{}", name, namespace).expect("renders");
            for object in &rendered.objects {
                let metadata = &object["metadata"];
                let is_of_cluster = object["kind"]
                    .as_str()
                    .is_some_and(|kind| kind.starts_with("Cluster"));
                assert_eq!(metadata["namespace"].is_null(), is_of_cluster, "{object}");
                let key = [&object["kind"], &metadata["namespace"], &metadata["name"]];
                assert!(seen.insert(key.map(ToString::to_string)), "{key:?} twice");
                let length = metadata["name"].as_str().map_or(0, str::len);
                assert!((1..=63).contains(&length), "{key:?}");
            }
        }
    });
}
