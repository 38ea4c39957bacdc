//! What the rows are, and what is known of why they are as they are.

use super::{Alone, Best, Cell, Row};
use crate::peers::measure::{Figures, Footprint};
use crate::summary::Spread;

pub(super) fn rows(figures: &[Option<Figures>], alone: Alone) -> Vec<Row> {
    let own = figures.first().and_then(Option::as_ref);
    let own = own.map_or(f64::NAN, |own| own.kernel().median);
    let execs = figures.iter().flatten().map(|figures| figures.storm.execs);
    let execs = thousands(execs.max().unwrap_or(0) as f64);
    let rate = thousands(alone.rate);
    let slow = match alone.tier {
        3 => TRACEPOINTS,
        2 => KPROBES,
        _ => UNKNOWN,
    };
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
        })
        .at_most(SLOWER, slow),
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
            format!("execs a second in a storm (alone: {rate})"),
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

/// Per cent that an exec may take longer.
const SLOWER: f64 = 0.5;

pub(super) const UNKNOWN: &str = "nobody has found out why yet";

const TRACEPOINTS: &str = "in tier 3 the kernel takes each system call of the machine by a path that is some 20 ns \
                           slower, and to start a program takes some 140 of them; tiers 1 and 2 do without those \
                           tracepoints";

const KPROBES: &str = "in tier 2 the kernel takes an exception to come to a kprobe, and on arm64 one more to go on, which \
                       costs more than what our programs do there; tier 1 does without";

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
pub(super) fn percent(ratio: Spread) -> Cell {
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

#[cfg(test)]
mod tests {
    use super::{percent, thousands};
    use crate::summary::Spread;

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
