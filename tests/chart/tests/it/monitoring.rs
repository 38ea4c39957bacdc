//! Alerts and the dashboard in the cluster are those of `deploy`.

use std::fs;

use archtrace_chart::{path, with};
use serde_json::Value;

#[test]
fn they_are_the_same() {
    with(|tools| {
        let values = fs::read_to_string(path("deploy/chart/ci/monitoring.yaml")).expect("is read");
        let rendered = tools
            .render(&values, "archtrace", "archtrace")
            .expect("renders");
        let rules = rendered.of_kind("PrometheusRule").next().expect("rules");
        let written = tools.read("deploy/alerts/archtrace.rules.yaml");
        assert!(written[0]["groups"].is_array());
        assert_eq!(rules["spec"], written[0]);

        let is_dashboard = |map: &&Value| map["metadata"]["name"] == "archtrace-dashboard";
        let map = rendered
            .of_kind("ConfigMap")
            .find(is_dashboard)
            .expect("a dashboard");
        let text = map["data"]["archtrace.json"].as_str().expect("a text");
        let shown: Value = serde_json::from_str(text).expect("JSON");
        let written =
            fs::read_to_string(path("deploy/dashboards/archtrace.json")).expect("is read");
        let written: Value = serde_json::from_str(&written).expect("JSON");
        assert_eq!(shown, written);
    });
}

/// The labels of workloads would otherwise be renamed, and no alert would name one.
#[test]
fn labels_of_workloads_are_kept() {
    with(|tools| {
        let values = fs::read_to_string(path("deploy/chart/ci/monitoring.yaml")).expect("is read");
        let rendered = tools
            .render(&values, "archtrace", "archtrace")
            .expect("renders");
        for (kind, endpoints) in [
            ("PodMonitor", "podMetricsEndpoints"),
            ("ServiceMonitor", "endpoints"),
        ] {
            let monitor = rendered.of_kind(kind).next().expect("a monitor");
            assert_eq!(monitor["spec"][endpoints][0]["honorLabels"], true, "{kind}");
        }
    });
}
