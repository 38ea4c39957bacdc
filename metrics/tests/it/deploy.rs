//! Alert rules and the dashboard use metrics and labels that exist, and every metric has somebody who reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Labels that Prometheus adds: where a series comes from, and the bounds of a histogram's buckets.
const ADDED: [&str; 2] = ["instance", "le"];

const RULES: &str = "deploy/alerts/archtrace.rules.yaml";
const TESTS: [&str; 2] = [
    "deploy/alerts/tests/health.yaml",
    "deploy/alerts/tests/native.yaml",
];
const DASHBOARD: &str = "deploy/dashboards/archtrace.json";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every metric of docs/metrics.md, with its kind and its labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = read("docs/metrics.md");
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| `archtrace_"));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    let bare = |cell: &str| cell.trim_matches(['|', ' ', '`']).to_owned();
    cells
        .map(|cells| {
            let labels = cells[2].split(',').map(bare);
            let labels = labels.filter(|label| !label.is_empty()).collect();
            (bare(cells[0]), (bare(cells[1]), labels))
        })
        .collect()
}

/// A metric that a text names, and the labels that stand in braces behind it.
struct Named {
    name: String,
    labels: Vec<String>,
}

/// What a text in PromQL, or about series, names.
fn named(text: &str) -> Vec<Named> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("archtrace_") {
        let from = &rest[at..];
        let end = from.find(|c| !is_of_name(c)).unwrap_or(from.len());
        let (name, behind) = from.split_at(end);
        let braces = behind
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        let matchers = braces.map_or("", |(inner, _)| inner).split(',');
        let labels = matchers.filter_map(|matcher| {
            let label: String = matcher
                .trim()
                .chars()
                .take_while(|c| is_of_name(*c))
                .collect();
            (!label.is_empty()).then_some(label)
        });
        found.push(Named {
            name: name.to_owned(),
            labels: labels.collect(),
        });
        rest = behind;
    }
    found
}

/// The expressions of the rules: all lines but comments.
fn rules() -> String {
    let text = read(RULES);
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

/// What the dashboard asks, its variables included.
fn asked() -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    if let ("expr" | "query", Value::String(text)) = (key.as_str(), value) {
                        found.push(text.clone());
                    }
                    collect(value, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let dashboard = serde_json::from_str(&read(DASHBOARD)).expect("is JSON");
    let mut found = Vec::new();
    collect(&dashboard, &mut found);
    found
}

/// Whether these exist; returns which metrics they are.
fn check(path: &str, text: &str) -> BTreeSet<String> {
    let known = documented();
    let mut used = BTreeSet::new();
    for Named { name, labels } in named(text) {
        let of_histogram = ["_bucket", "_sum", "_count"];
        let base = of_histogram.iter().find_map(|end| name.strip_suffix(end));
        let base = base.filter(|base| {
            known
                .get(*base)
                .is_some_and(|(kind, _)| kind == "histogram")
        });
        let base = base.unwrap_or(&name);
        let (_, has) = known
            .get(base)
            .unwrap_or_else(|| panic!("{path}: there is no metric {name}"));
        for label in labels {
            let exists = has.contains(&label) || ADDED.contains(&label.as_str());
            assert!(exists, "{path}: {name} has no label {label}");
        }
        used.insert(base.to_owned());
    }
    used
}

#[test]
fn only_metrics_that_exist_are_used_and_all_of_them() {
    let known = documented();
    assert!(known.len() > 50, "{}", known.len());
    let mut used = check(RULES, &rules());
    for path in TESTS {
        check(path, &read(path));
    }
    for text in asked() {
        used.extend(check(DASHBOARD, &text));
    }
    let unread: Vec<_> = known.keys().filter(|name| !used.contains(*name)).collect();
    assert!(unread.is_empty(), "nobody reads {unread:?}");
}

#[test]
fn every_alert_has_a_case() {
    let rules = read(RULES);
    let lines = rules.lines().map(str::trim);
    let alerts: Vec<_> = lines
        .filter_map(|line| line.strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 15, "{alerts:?}");
    let tests = TESTS.map(read).concat();
    let documents = read("docs/metrics.md");
    for alert in alerts {
        let case = format!("alertname=\"{alert}\", alertstate=\"firing\"");
        assert!(tests.contains(&case), "{alert} is never seen to fire");
    }
    // And what the documents speak of is there.
    for word in documents.split(|c: char| !c.is_ascii_alphanumeric()) {
        let is_alert = word.len() > "Archtrace".len() && word.starts_with("Archtrace");
        let exists = rules.contains(&format!("- alert: {word}\n"));
        assert!(!is_alert || exists, "there is no alert {word}");
    }
}

#[test]
fn a_dashboard_has_places_for_all_its_panels() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("is JSON");
    let panels = dashboard["panels"].as_array().expect("a list");
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        let place = |name: &str| panel["gridPos"][name].as_u64().expect("a number");
        assert!(ids.insert(panel["id"].as_u64()), "{title}: its id is taken");
        assert!(place("x") + place("w") <= 24, "{title}: too wide");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(cells.insert((x, y)), "{title}: its place is taken");
            }
        }
    }
}
