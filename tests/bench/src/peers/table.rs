//! The table: a row for each thing that was measured, a column for each tool, archtrace's first.

use std::fmt::Write as _;

use super::measure::{Figures, Footprint, Slower};
use crate::summary::Spread;

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
            why: "nobody has found out why yet",
        }
    }

    fn because(self, why: &'static str) -> Self {
        Self { why, ..self }
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
    /// Execs a second in a storm.
    pub(super) rate: f64,
    /// How much slower execs seem to become by nothing.
    pub(super) slower: Slower,
}

/// In Markdown, with what has to be said of single rows below.
pub(super) fn table(names: &[&str], figures: &[Option<Figures>], alone: Alone) -> String {
    let rows = rows(figures, alone.rate);
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
        if row.is_behind() {
            notes.push(row.why);
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
    for (number, why) in notes.iter().enumerate() {
        let _ = write!(text, "\n[{}] archtrace is not ahead: {why}\n", number + 1);
    }
    text
}

fn rows(figures: &[Option<Figures>], calm: f64) -> Vec<Row> {
    let own = figures.first().and_then(Option::as_ref);
    let own = own.map_or(f64::NAN, |own| own.kernel().median);
    let execs = figures.iter().flatten().map(|figures| figures.storm.execs);
    let execs = thousands(execs.max().unwrap_or(0) as f64);
    let calm = thousands(calm);
    let least = |name: &str, cell: fn(&Figures) -> Cell| Row::new(name, Best::Least, figures, cell);
    let most = |name: String, cell: fn(&Figures) -> Cell| Row::new(name, Best::Most, figures, cell);
    vec![
        least("kernel time of a native exec", kernel),
        Row::new(
            "that is, times archtrace's (goal: 20)",
            Best::Least,
            figures,
            |figures| {
                let times = figures.kernel().median / own;
                Cell::exact(times, format!("{times:.1}"))
            },
        ),
        least("exec slower by, lower quartile (goal: 0.5 %)", |figures| {
            percent(figures.slower.quartile)
        }),
        least("exec slower by, median", |figures| {
            percent(figures.slower.median)
        }),
        least("exec slower by, all in a row", |figures| {
            percent(figures.slower.total)
        }),
        least("CPU, idle", |figures| {
            Cell::exact(figures.idle.cpu, format!("{:.3} %", figures.idle.cpu))
        })
        .because(IDLE),
        least("CPU for an exec of a storm", |figures| {
            Cell::exact(figures.storm.cpu, format!("{:.2} us", figures.storm.cpu))
        }),
        least("memory, idle (of which its own)", |figures| {
            let Footprint { rss, own, .. } = figures.idle;
            let Cell { text: own, .. } = megabytes(own);
            let cell = megabytes(rss);
            Cell {
                text: format!("{} ({own})", cell.text),
                ..cell
            }
        })
        .because(MEMORY),
        least("memory, in a storm", |figures| megabytes(figures.storm.rss)).because(MEMORY),
        most(format!("told of {execs} execs of a storm"), |figures| {
            let told = figures.storm.told as f64;
            Cell::exact(told, thousands(told))
        }),
        most(
            format!("execs a second in a storm (alone: {calm})"),
            |figures| {
                let rate = figures.storm.rate;
                Cell {
                    low: rate * (1.0 - ONE_STORM),
                    high: rate * (1.0 + ONE_STORM),
                    text: thousands(rate),
                }
            },
        ),
    ]
}

/// A single storm says no more than to so much.
const ONE_STORM: f64 = 0.03;

const IDLE: &str = "who waits for records does nothing until one comes; the agent reads counters and says every few \
                    seconds that it is alive";

const MEMORY: &str = "who prints lines or writes them to a file keeps nothing; most of the agent's is the file of its \
                      program, with a client of gRPC and TLS in it, and its own are a fact for each binary and \
                      cgroup, and names of containers";

fn kernel(figures: &Figures) -> Cell {
    let Spread { median, low, high } = figures.kernel();
    let sign = if figures.programs.is_none() { "~ " } else { "" };
    Cell {
        low,
        high,
        text: format!("{sign}{} ns", thousands(median)),
    }
}

fn megabytes(kilobytes: f64) -> Cell {
    Cell::exact(kilobytes, format!("{:.1} MB", kilobytes / 1024.0))
}

/// The median in per cent, and where the true one is with a confidence of 95 %.
fn percent(ratio: Spread) -> Cell {
    let [median, low, high] =
        [ratio.median, ratio.low, ratio.high].map(|ratio| 100.0 * (ratio - 1.0));
    Cell {
        low,
        high,
        text: format!("{median:.2} % ({low:.2} to {high:.2})"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        let left = digits.len() - place;
        if left % 3 == 0 && !text.is_empty() && text != "-" {
            text.push(',');
        }
        text.push(digit);
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
    use super::{Alone, Best, Cell, Row, percent, table, thousands};
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
        assert!(line("| memory, idle")[1].ends_with("[1]"));
        assert_eq!(line("| memory, idle")[2], "4.0 MB (2.0 MB)");
        assert!(line("| memory, in")[1].ends_with("[2]"));
        assert_eq!(
            line("| told of")[1..4],
            ["told of 1,000 execs of a storm", "1,000", "990"]
        );
        assert!(
            text.contains("\n[1] archtrace is not ahead: who prints lines"),
            "{text}"
        );
        assert!(!text.contains("[3]"), "{text}");
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

    #[test]
    fn numbers_as_people_read_them() {
        let shown = [
            (0.0, "0"),
            (-999.0, "-999"),
            (-1000.0, "-1,000"),
            (29_300.4, "29,300"),
            (1e6, "1,000,000"),
        ];
        for (value, expected) in shown {
            assert_eq!(thousands(value), expected);
        }
        let spread = Spread {
            median: 1.001,
            low: 0.999,
            high: 1.0025,
        };
        assert_eq!(percent(spread).text, "0.10 % (-0.10 to 0.25)");
    }
}
