//! The portability matrix, in each of its forms.

use std::fmt::Write as _;

use archtrace_facts::arch::Arch;
use archtrace_facts::matrix::{Evidence, Matrix, Row};

use super::{json, lines, table};
use crate::args::Output;
use crate::client::Answer;
use crate::show::human::count;

/// How it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Plain(Output),
    Markdown,
    Csv,
}

pub(crate) fn matrix(answer: &Answer<Vec<Matrix>>, arch: Arch, shape: Shape) -> String {
    let Answer { told, coverage } = answer;
    match shape {
        Shape::Plain(Output::Json) => lines(
            told.iter()
                .map(|matrix| json::Covered::new(json::matrix(matrix, arch), coverage)),
        ),
        Shape::Plain(Output::Wide) => table::matrix_wide(told),
        Shape::Plain(Output::Table) => table::matrix(told),
        Shape::Markdown => markdown(answer, arch),
        Shape::Csv => csv(told, arch),
    }
}

/// Names of what a form with every column has.
const COLUMNS: [&str; 9] = [
    "cluster",
    "namespace",
    "workload",
    "layer",
    "component",
    "status",
    "why",
    "action",
    "evidence",
];

fn columns(matrix: &Matrix, row: &Row) -> [String; 9] {
    [
        matrix.cluster.clone(),
        matrix.namespace.clone(),
        matrix.workload.clone(),
        row.layer.to_string(),
        row.component.clone(),
        row.status.to_string(),
        row.why.clone(),
        row.action.clone(),
        all_evidence(row),
    ]
}

fn rows(told: &[Matrix]) -> impl Iterator<Item = (&Matrix, &Row)> {
    told.iter()
        .flat_map(|matrix| matrix.rows.iter().map(move |row| (matrix, row)))
}

/// As a page that a change request can hold: one table, whose cells cannot be mistaken for markup.
fn markdown(answer: &Answer<Vec<Matrix>>, arch: Arch) -> String {
    let Answer { told, coverage } = answer;
    let mut text = format!("# Portability to {arch}\n\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "| {} |", COLUMNS.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(COLUMNS.len()));
    for (matrix, row) in rows(told) {
        let cells = columns(matrix, row).map(|cell| escaped(&cell));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let _ = writeln!(
        text,
        "\nNodes: {} reporting, {} stale, {} unknown.",
        count(coverage.reporting),
        count(coverage.stale),
        count(coverage.unknown)
    );
    text
}

/// Every character that Markdown may take for its own (CommonMark 0.31, "Backslash escapes").
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>|&~$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// RFC 4180, with a head. No cell begins with what a spreadsheet takes for a formula: those with texts of
/// others begin with a word of ours, or hold names that Kubernetes or registries restrict.
fn csv(told: &[Matrix], arch: Arch) -> String {
    let mut text = format!("arch,{}\r\n", COLUMNS.join(","));
    for (matrix, row) in rows(told) {
        let cells = columns(matrix, row).map(|cell| quoted(&cell));
        let _ = write!(text, "{arch},{}\r\n", cells.join(","));
    }
    text
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

/// What shows a row, in one line.
fn all_evidence(row: &Row) -> String {
    let mut texts: Vec<_> = row.evidence.iter().map(evidence).collect();
    if row.more_evidence > 0 {
        texts.push(format!("and {} more", count(row.more_evidence)));
    }
    texts.join("; ")
}

/// Such as `fact /app (amd64): emulated by /qemu on arm64, node n1`.
pub(super) fn evidence(evidence: &Evidence) -> String {
    let Evidence {
        kind,
        what,
        arch,
        node,
        detail,
        seen: _,
    } = evidence;
    let mut text = format!("{kind} {what}");
    if let Some(arch) = arch {
        let _ = write!(text, " ({arch})");
    }
    if !detail.is_empty() {
        let _ = write!(text, ": {detail}");
    }
    if !node.is_empty() {
        let _ = write!(text, ", node {node}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_its_cell() {
        for (text, markdown, csv) in [
            ("plain", "plain", "plain"),
            ("a|b", "a\\|b", "a|b"),
            ("<b>*x*</b>", "\\<b\\>\\*x\\*\\</b\\>", "<b>*x*</b>"),
            ("\\", "\\\\", "\\"),
            ("a,b", "a,b", "\"a,b\""),
            ("a \"b\"", "a \"b\"", "\"a \"\"b\"\"\""),
        ] {
            assert_eq!(
                (escaped(text), quoted(text)),
                (markdown.to_owned(), csv.to_owned())
            );
        }
    }
}
