//! The table: a row for each thing that was measured, a column for each tool, archtrace's first.

use std::fmt::Write as _;

use self::rows::{UNKNOWN, percent, rows};
use super::measure::{Figures, Slower};

mod rows;

/// What the first column should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Best {
    Least,
    Most,
}

/// What is shown, and where the true value is at least and at most.
#[derive(Clone, Debug)]
struct Cell {
    low: f64,
    high: f64,
    text: String,
}

impl Cell {
    fn exact(value: f64, text: String) -> Self {
        Self {
            low: value,
            high: value,
            text,
        }
    }
}

struct Row {
    name: String,
    best: Best,
    /// Of each tool; none where it was not measured.
    cells: Vec<Option<Cell>>,
    /// Why others may be ahead of archtrace here.
    why: &'static str,
    /// What it should not exceed, and why it may.
    goal: Option<(f64, &'static str)>,
}

impl Row {
    fn new(
        name: impl Into<String>,
        best: Best,
        figures: &[Option<Figures>],
        cell: impl Fn(&Figures) -> Cell,
    ) -> Self {
        let cells = figures.iter().map(|figures| figures.as_ref().map(&cell));
        Self {
            name: name.into(),
            best,
            cells: cells.collect(),
            why: UNKNOWN,
            goal: None,
        }
    }

    fn because(self, why: &'static str) -> Self {
        Self { why, ..self }
    }

    fn at_most(self, goal: f64, why: &'static str) -> Self {
        Self {
            goal: Some((goal, why)),
            ..self
        }
    }

    /// What has to be said of it.
    fn note(&self) -> Option<String> {
        let own = self.cells.first()?.as_ref()?;
        match self.goal {
            _ if self.is_behind() => Some(format!("archtrace is not ahead: {}", self.why)),
            Some((goal, why)) if own.low > goal => Some(format!("more than the goal: {why}")),
            _ => None,
        }
    }

    /// Whether another is ahead of the first, beyond what chance may do.
    fn is_behind(&self) -> bool {
        let Some((Some(own), others)) = self.cells.split_first() else {
            return false;
        };
        others.iter().flatten().any(|other| match self.best {
            Best::Least => other.high < own.low,
            Best::Most => other.low > own.high,
        })
    }
}

/// What there is without any tool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alone {
    /// The tier in which archtrace runs.
    pub(super) tier: u64,
    /// Execs a second in a storm.
    pub(super) rate: f64,
    /// How much slower execs seem to become by nothing.
    pub(super) slower: Slower,
}

/// In Markdown, with what has to be said of single rows below.
pub(super) fn table(names: &[&str], figures: &[Option<Figures>], alone: Alone) -> String {
    let rows = rows(figures, alone);
    let mut lines = vec![
        std::iter::once("")
            .chain(names.iter().copied())
            .map(str::to_owned)
            .collect(),
        vec!["---".to_owned(); names.len() + 1],
    ];
    let mut notes = Vec::new();
    for row in &rows {
        let mut name = row.name.clone();
        if let Some(note) = row.note() {
            notes.push(note);
            let _ = write!(name, " [{}]", notes.len());
        }
        let cells = row.cells.iter().map(|cell| match cell {
            Some(cell) => cell.text.clone(),
            None => "not measured".to_owned(),
        });
        lines.push(std::iter::once(name).chain(cells).collect::<Vec<_>>());
    }
    let mut text = align(&lines);
    if figures
        .iter()
        .flatten()
        .any(|figures| figures.programs.is_none())
    {
        text.push_str("\n~ what the median exec takes longer, and what the kernel's thread uses for it: its time in \
                       the kernel is not accounted\n");
    }
    let Slower {
        quartile,
        median,
        total,
        ..
    } = alone.slower;
    let [quartile, median, total] = [quartile, median, total].map(|ratio| percent(ratio).text);
    let _ = write!(
        text,
        "\nslower by, with nothing in place of a tool: {quartile}; {median}; {total}\n"
    );
    for (number, note) in notes.iter().enumerate() {
        let _ = write!(text, "\n[{}] {note}\n", number + 1);
    }
    text
}

fn align(lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            let _ = write!(text, "| {cell:<width$} ", width = width(column));
        }
        text.push_str("|\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Alone, Best, Cell, Row, table};
    use crate::peers::measure::{Figures, Footprint, Slower, Storm};
    use crate::summary::Spread;

    fn slower(median: f64) -> Slower {
        let spread = |median| Spread {
            median,
            low: median - 0.01,
            high: median + 0.01,
        };
        Slower {
            quartile: spread(1.02),
            median: spread(median),
            difference: spread(9.0),
            total: spread(1.04),
        }
    }

    fn figures(programs: Option<f64>, rss: f64, told: u64) -> Figures {
        Figures {
            programs,
            kernel_thread: 1000.0,
            slower: slower(1.03),
            idle: Footprint {
                cpu: 0.01,
                rss,
                own: rss / 2.0,
            },
            storm: Storm {
                execs: 1000,
                told,
                rate: 2000.0,
                cpu: 1.5,
                rss: rss + 1024.0,
            },
        }
    }

    #[test]
    fn a_row_that_others_lead_says_why() {
        let all = [
            Some(figures(Some(500.0), 4096.0, 1000)),
            Some(figures(None, 2048.0, 990)),
            None,
        ];
        let alone = Alone {
            tier: 3,
            rate: 2500.0,
            slower: slower(1.0),
        };
        let text = table(&["archtrace", "other", "third"], &all, alone);
        let line = |start: &str| {
            let found = text.lines().find(|line| line.starts_with(start));
            let found = found.unwrap_or_else(|| panic!("no line {start}: {text}"));
            found.split('|').map(str::trim).collect::<Vec<_>>()
        };
        let kernel = line("| kernel time");
        assert_eq!(kernel[2..5], ["1,500 ns", "~ 10,000 ns", "not measured"]);
        assert_eq!(line("| that is, times")[2..4], ["1.0", "6.7"]);
        assert_eq!(line("| exec slower by, l")[2], "2.00 % (1.00 to 3.00)");
        assert_eq!(line("| exec slower by, m")[2], "3.00 % (2.00 to 4.00)");
        let nothing = "2.00 % (1.00 to 3.00); 0.00 % (-1.00 to 1.00); 4.00 % (3.00 to 5.00)\n";
        assert!(
            text.contains(&format!("in place of a tool: {nothing}")),
            "{text}"
        );
        assert!(line("| exec slower by, l")[1].ends_with("[1]"));
        assert!(
            text.contains("\n[1] more than the goal: in tier 3"),
            "{text}"
        );
        assert!(line("| memory, idle")[1].ends_with("[2]"));
        assert_eq!(line("| memory, idle")[2], "4.0 MB (2.0 MB)");
        assert!(line("| memory, in")[1].ends_with("[3]"));
        assert_eq!(
            line("| told of")[1..4],
            ["told of 1,000 execs of a storm", "1,000", "990"]
        );
        assert!(
            text.contains("\n[2] archtrace is not ahead: who prints lines"),
            "{text}"
        );
        assert!(!text.contains("[4]"), "{text}");
    }

    #[test]
    fn a_goal_that_is_missed_says_why() {
        let figures = [Some(figures(Some(500.0), 0.0, 0))];
        let note = |low, goal| {
            let row = Row::new("", Best::Least, &figures, |_| {
                Cell::exact(0.0, String::new())
            });
            let mut row = row.at_most(goal, "that is why");
            row.cells[0].as_mut().expect("a cell").low = low;
            row.note()
        };
        assert_eq!(note(0.5, 0.5), None);
        assert_eq!(
            note(0.6, 0.5).as_deref(),
            Some("more than the goal: that is why")
        );
    }

    #[test]
    fn ahead_is_the_best_of_all() {
        let row = |best, values: &[f64]| {
            let figures = vec![Some(figures(None, 0.0, 0)); values.len()];
            let mut row = Row::new("", best, &figures, |_| Cell::exact(0.0, String::new()));
            for (cell, value) in row.cells.iter_mut().zip(values) {
                *cell = Some(Cell::exact(*value, String::new()));
            }
            row
        };
        assert!(!row(Best::Least, &[1.0, 1.0, 2.0]).is_behind());
        assert!(row(Best::Least, &[1.0, 2.0, 0.5]).is_behind());
        assert!(!row(Best::Most, &[2.0, 2.0, 1.0]).is_behind());
        assert!(row(Best::Most, &[2.0, 3.0]).is_behind());
        assert!(!row(Best::Most, &[2.0]).is_behind());
        let mut chance = row(Best::Least, &[2.0, 1.0]);
        assert!(chance.is_behind());
        let own = chance.cells[0].as_mut().expect("a cell");
        (own.low, own.high) = (0.9, 3.0);
        assert!(!chance.is_behind());
    }
}
