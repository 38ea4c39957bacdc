//! `deploy/manifests/archtrace.yaml` is what the chart makes.

use std::fs;

use archtrace_chart::{Rendered, path, with};

const KEPT: &str = "deploy/manifests/archtrace.yaml";
const VALUES: &str = "deploy/chart/ci/manifest.yaml";

/// Set by `cargo xtask chart --write`.
const WRITE: &str = "ARCHTRACE_CHART_WRITE";

const HEAD: &str = "\
# What deploy/chart makes of deploy/chart/ci/manifest.yaml: `cargo xtask chart --write` wrote it. Do not edit it.
#
# Before: the namespace, and a certificate of the collector, here one for trying out that holds for 30 days:
#   kubectl create namespace archtrace
#   kubectl label namespace archtrace pod-security.kubernetes.io/enforce=privileged
#   archtrace-collector dev-certs --out certs --server archtrace-collector.archtrace.svc
#   kubectl -n archtrace create secret generic archtrace-collector-tls --from-file=tls.crt=certs/server.crt \\
#     --from-file=tls.key=certs/server.key --from-file=ca.crt=certs/ca.crt
# Images have no registry in front: kubectl kustomize, or sed, puts yours there.
";

/// Without what only Helm understands.
fn plain(rendered: &Rendered) -> String {
    let files = rendered
        .files
        .iter()
        .filter(|(path, _)| !path.contains("/tests/"));
    let documents = files.flat_map(|(_, text)| text.split("\n---\n"));
    let documents = documents.map(|text| text.trim_start_matches("---\n").trim());
    let documents = documents.filter(|text| text.lines().any(|line| !line.starts_with('#')));
    let helms = ["helm.sh/chart:", "app.kubernetes.io/managed-by:"];
    documents.fold(HEAD.to_owned(), |all, text| {
        let lines = text
            .lines()
            .filter(|line| !helms.iter().any(|helms| line.contains(helms)));
        let lines: Vec<_> = lines.filter(|line| !line.trim().is_empty()).collect();
        format!("{all}---\n{}\n", lines.join("\n"))
    })
}

#[test]
fn the_manifest_is_what_the_chart_makes() {
    with(|tools| {
        let values = fs::read_to_string(path(VALUES)).expect("is read");
        let rendered = tools
            .render(&values, "archtrace", "archtrace")
            .expect("renders");
        let made = plain(&rendered);
        if std::env::var_os(WRITE).is_some() {
            fs::create_dir_all(path("deploy/manifests")).expect("is made");
            fs::write(path(KEPT), &made).expect("is written");
        }
        let kept = fs::read_to_string(path(KEPT)).unwrap_or_default();
        assert!(
            kept == made,
            "{KEPT} is not what the chart makes: run `cargo xtask chart --write`"
        );
        let objects = tools.read(KEPT);
        assert_eq!(
            objects.len(),
            rendered.objects.len() - 1,
            "all but the pod of helm test"
        );
        for object in &objects {
            let valid = tools.validate(object);
            assert!(valid.is_ok(), "{}: {valid:?}", object["metadata"]["name"]);
        }
    });
}
