//! `docs/checklist.md`: what the cases showed of each line of the checklist, on each machine.
//!
//! Made from the lines that the cases print, so that it cannot say what no run has shown.

mod lines;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::paths;

/// What became of one line of the checklist on one machine. The worst of its cases counts, and what
/// could not be tried out counts least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    NotApplicable(String),
    Pass,
    /// With what is reported instead.
    Degraded(String),
    Fail,
}

/// One machine's cells, by the number of the line.
pub(crate) type Column = BTreeMap<u8, Cell>;

/// Adds what a line of output says, if it is that of a case:
/// `case <name> ok|degraded|n.a.|FAIL #<line>… (<seconds> s) <text>`
pub(crate) fn note(column: &mut Column, line: &str) {
    for (number, cell) in parse(line).into_iter().flatten() {
        let worst = column.entry(number).or_insert_with(|| cell.clone());
        if cell > *worst {
            *worst = cell;
        }
    }
}

fn parse(line: &str) -> Option<Vec<(u8, Cell)>> {
    let (_, rest) = line.strip_prefix("case ")?.split_once(' ')?;
    let (state, rest) = rest.split_once(' ')?;
    let (head, text) = rest.split_once(" s)")?;
    let text = text.trim_start();
    let cell = match state {
        "ok" => Cell::Pass,
        "degraded" => Cell::Degraded(text.to_owned()),
        "n.a." => Cell::NotApplicable(text.to_owned()),
        "FAIL" => Cell::Fail,
        _ => return None,
    };
    let numbers = head.split(' ').filter_map(|word| word.strip_prefix('#'));
    numbers
        .map(|number| Some((number.parse().ok()?, cell.clone())))
        .collect()
}

/// Compares the file with what was seen, or writes it. Columns and lines that were not seen stay. Two
/// machines may share a column: one runs pods, the other does not.
///
/// # Errors
/// If they differ and it is not to be written, or if a case failed.
pub(crate) fn settle(seen: &[(String, Column)], write: bool) -> Result<()> {
    let path = file();
    let old = fs::read_to_string(&path).unwrap_or_default();
    let mut columns = table::parse(&old);
    let mut merged = BTreeMap::<String, Column>::new();
    for (name, column) in seen {
        if column.values().any(|cell| *cell == Cell::Fail) {
            bail!("cases failed on {name}, so the table stays as it is");
        }
        let cells = merged.entry(name.clone()).or_default();
        for (number, cell) in column {
            let worst = cells.entry(*number).or_insert_with(|| cell.clone());
            if cell > worst {
                worst.clone_from(cell);
            }
        }
    }
    for (name, column) in merged {
        columns.entry(name).or_default().extend(column);
    }
    let new = table::render(&columns);
    if new == old {
        return Ok(());
    }
    if write {
        return fs::write(&path, new).with_context(|| format!("write {}", path.display()));
    }
    bail!(
        "{} does not say what was seen; if that is as it should be, add --write. It should say:\n{}",
        path.display(),
        difference(&old, &new)
    )
}

fn file() -> PathBuf {
    paths::root().join("docs/checklist.md")
}

/// The lines of `new` that `old` has not.
fn difference(old: &str, new: &str) -> String {
    let mut text = String::new();
    for line in new
        .lines()
        .filter(|line| !old.lines().any(|old| old == *line))
    {
        let _ = writeln!(text, "{line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_case_of_a_line_counts() {
        let mut column = Column::new();
        for line in [
            "case a ok #1 #2 (0.1 s) 12 ms",
            "case b n.a. #2 #3 (0.0 s) not here",
            "case c degraded #4 (1.0 s) named otherwise",
            "case d ok #4 (1.0 s)",
            "case e FAIL #5 (1.0 s) after 20 s: no",
            "case f ok (1.0 s) no line",
            "case g",
            "something else",
        ] {
            note(&mut column, line);
        }
        let expected = [
            (1, Cell::Pass),
            (2, Cell::Pass),
            (3, Cell::NotApplicable("not here".to_owned())),
            (4, Cell::Degraded("named otherwise".to_owned())),
            (5, Cell::Fail),
        ];
        assert_eq!(column, Column::from(expected));
    }
}
