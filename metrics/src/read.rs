//! A page read again, for tests that hold it against what is written of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// One metric of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// `gauge`, `counter` or `histogram`.
    pub kind: String,
    /// What is said of it.
    pub help: String,
    /// Names of its labels; those of a histogram's buckets left out.
    pub labels: BTreeSet<String>,
}

/// The metrics of a page, by the names that their series have: `_total` included.
#[must_use]
pub fn families(page: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut helps = BTreeMap::new();
    for line in page.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), Some(help)) => {
                helps.insert(name, help);
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let suffix = if kind == "counter" { "_total" } else { "" };
                let family = Family {
                    kind: kind.to_owned(),
                    help: helps.get(name).copied().unwrap_or_default().to_owned(),
                    labels: BTreeSet::new(),
                };
                families.insert(format!("{name}{suffix}"), family);
            }
            _ => {}
        }
    }
    for (name, labels, _) in samples(page) {
        let of_histogram = ["_bucket", "_sum", "_count"];
        let base = of_histogram.iter().find_map(|end| name.strip_suffix(end));
        let base = base.filter(|base| families.contains_key(*base));
        if let Some(family) = families.get_mut(base.unwrap_or(&name)) {
            let labels = labels.into_keys().filter(|label| label != "le");
            family.labels.extend(labels);
        }
    }
    families
}

/// Every series of a page: name, labels, number.
pub fn samples(page: &str) -> impl Iterator<Item = (String, BTreeMap<String, String>, f64)> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let (name, rest) = line.split_once('{')?;
        let (labels, number) = rest.rsplit_once("} ")?;
        Some((name.to_owned(), read_labels(labels), number.parse().ok()?))
    })
}

/// `a="x",b="y"`; what is escaped in there stays so.
fn read_labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let mut is_escaped = false;
        let end = rest.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let Some((value, behind)) = end.and_then(|end| rest.split_at_checked(end)) else {
            break;
        };
        labels.insert(name.to_owned(), value.to_owned());
        text = behind.trim_start_matches('"').trim_start_matches(',');
    }
    labels
}

/// Holds a page against docs/metrics.md: its table of this `section` has a row for each metric, and no
/// other.
///
/// # Panics
/// If they differ; says how the table should be.
pub fn compare(page: &str, section: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let (begin, end) = (format!("<!-- {section} -->\n"), "<!-- end -->");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let written = text.split_once(&begin).map_or("", |(_, rest)| rest);
    let written = written.split_once(end).map_or(written, |(table, _)| table);
    let is = table(page);
    assert!(
        written.trim() == is.trim(),
        "{} does not tell what there is. Between {begin}and {end} it should say:\n\n{is}",
        path.display()
    );
}

/// The metrics of a page, for people.
fn table(page: &str) -> String {
    let mut table = "| metric | kind | labels | what it tells |\n|---|---|---|---|\n".to_owned();
    for (name, family) in families(page) {
        let Family { kind, help, labels } = family;
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = labels.join(", ");
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| `{name}` | {kind} | {labels} | {help} |");
    }
    table
}
