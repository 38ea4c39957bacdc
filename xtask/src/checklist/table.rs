//! The file as text, and back: columns that a run has not seen are kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::lines::PARTS;
use super::{Cell, Column};

const HEAD: &str = "\
# Checklist

What the test cases show of every way to be foreign, on each kernel. This file is written by
`cargo xtask vm --all --write` (virtual machines) and `cargo xtask test --write` (the host too), and
checked by the same without `--write`. The host is a machine whose kernel allows nothing but
tracepoints (tier 3); it runs Linux 6.18. Pods, with a real containerd, run on it and on Linux 6.1, so
only there is anything said of images.
";

/// What stands in a cell of a column that no run has filled.
const NOTHING: &str = "–";

pub(super) fn render(columns: &BTreeMap<String, Column>) -> String {
    let mut text = HEAD.to_owned();
    let mut notes = Vec::new();
    let mut number = 0;
    for (title, lines) in PARTS {
        let _ = write!(text, "\n## {title}\n\n| # | case |");
        for name in columns.keys() {
            let _ = write!(text, " {name} |");
        }
        let _ = writeln!(text, "\n|--:|---|{}", "---|".repeat(columns.len()));
        for line in lines {
            number += 1;
            let _ = write!(text, "| {number} | {line} |");
            for column in columns.values() {
                let _ = write!(text, " {} |", cell(column.get(&number), &mut notes));
            }
            text.push('\n');
        }
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    for (number, note) in (1..).zip(notes) {
        let _ = writeln!(text, "[^{number}]: {note}");
    }
    text
}

fn cell(cell: Option<&Cell>, notes: &mut Vec<String>) -> String {
    let mut noted = |word: &str, note: &String| {
        let at = notes.iter().position(|known| known == note);
        let at = at.unwrap_or_else(|| {
            notes.push(note.clone());
            notes.len() - 1
        });
        format!("{word}[^{}]", at + 1)
    };
    match cell {
        None => NOTHING.to_owned(),
        Some(Cell::Pass) => "pass".to_owned(),
        Some(Cell::Degraded(note)) => noted("degraded", note),
        Some(Cell::NotApplicable(note)) => noted("n.a.", note),
        Some(Cell::Fail) => "FAIL".to_owned(),
    }
}

/// Reads what [`render`] wrote; what is anything else is left out.
pub(super) fn parse(text: &str) -> BTreeMap<String, Column> {
    let notes: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("[^")?.split_once("]: "))
        .collect();
    let mut names = Vec::new();
    let mut columns: BTreeMap<String, Column> = BTreeMap::new();
    for line in text.lines() {
        let Some(row) = line.strip_prefix("| ") else {
            continue;
        };
        let mut words = row.trim_end_matches(" |").split(" | ");
        let first = words.next().unwrap_or_default();
        let words = words.skip(1);
        if first == "#" {
            names = words.collect();
        } else if let Ok(number) = first.parse() {
            for (name, word) in names.iter().zip(words) {
                if let Some(cell) = parse_cell(word, &notes) {
                    let column = columns.entry((*name).to_owned()).or_default();
                    column.insert(number, cell);
                }
            }
        }
    }
    columns
}

fn parse_cell(word: &str, notes: &BTreeMap<&str, &str>) -> Option<Cell> {
    if word == "pass" {
        return Some(Cell::Pass);
    }
    let (state, number) = word.strip_suffix(']')?.split_once("[^")?;
    let note = (*notes.get(number)?).to_owned();
    match state {
        "degraded" => Some(Cell::Degraded(note)),
        "n.a." => Some(Cell::NotApplicable(note)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut columns = BTreeMap::new();
        assert_eq!(parse(&render(&columns)), columns);
        let noted = "not here".to_owned();
        let first = [(1, Cell::Pass), (3, Cell::NotApplicable(noted.clone()))];
        let second = [(1, Cell::Degraded("less".to_owned())), (40, Cell::Pass)];
        let third = [(2, Cell::NotApplicable(noted))];
        columns.insert("amd64 6.1".to_owned(), Column::from(first));
        columns.insert("arm64 6.12".to_owned(), Column::from(second));
        columns.insert("host".to_owned(), Column::from(third));
        let text = render(&columns);
        assert_eq!(parse(&text), columns, "{text}");
        assert_eq!(text.matches("]: not here").count(), 1);
    }

    #[test]
    fn there_are_forty_lines() {
        let lines: usize = PARTS.iter().map(|(_, lines)| lines.len()).sum();
        assert_eq!(lines, 40);
    }
}
