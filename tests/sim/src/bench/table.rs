//! The table of what was measured.

use std::fmt::Write as _;
use std::time::Duration;

use super::Args;
use super::pages::VIEWS;

/// One size of the fleet. Pairs are the median and the 99th percentile.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) nodes: usize,
    pub(super) tls: bool,
    pub(super) facts: u64,
    /// A full resync into an empty store, and the CPU time that it took the collector.
    pub(super) first: Duration,
    pub(super) first_cpu: Duration,
    /// One of new agents over what is stored.
    pub(super) again: Duration,
    /// Updates per second.
    pub(super) rate: f64,
    pub(super) commits: [Duration; 2],
    pub(super) emulated: [Duration; 2],
    pub(super) by_arch: [Duration; 2],
    pub(super) by_workload: [Duration; 2],
    pub(super) by_node: [Duration; 2],
    /// Of each view of the page; `None` where that was not asked for.
    pub(super) views: Option<[[Duration; 2]; VIEWS.len()]>,
    /// Processors that were busy at that rate.
    pub(super) cpu: f64,
    /// Memory when all had told everything, before anybody asked; at the end; at most; and the store: in
    /// bytes.
    pub(super) connected: u64,
    pub(super) resident: u64,
    pub(super) peak: u64,
    pub(super) store: u64,
}

/// What marks a goal that is missed.
const MISSED: &str = " !";

/// A line for each measurement, a column for each size.
pub(super) fn table(args: &Args, rows: &[Row]) -> String {
    let second = Duration::from_secs(1);
    let ms = Duration::from_millis(1);
    let mib = |bytes: u64, goal: Option<u64>| {
        let missed = goal.is_some_and(|goal| bytes > goal << 20);
        format!("{} MiB{}", bytes.div_ceil(1 << 20), mark(missed))
    };
    let line = |name: &str, goal, cells| (name.to_owned(), goal, cells);
    let mut lines: Vec<Line> = vec![
        line(
            "",
            "goal",
            each(rows, |row| {
                format!("{} nodes{}", row.nodes, if row.tls { ", mTLS" } else { "" })
            }),
        ),
        line("facts", "", each(rows, |row| row.facts.to_string())),
        line(
            "full resync, empty store",
            "<= 60 s",
            each(rows, |row| within(row.first, 60 * second)),
        ),
        line(
            "  CPU time of the collector",
            "",
            each(rows, |row| shown(row.first_cpu)),
        ),
        line(
            "full resync, new agents",
            "<= 60 s",
            each(rows, |row| within(row.again, 60 * second)),
        ),
        line(
            "updates per second",
            "",
            each(rows, |row| format!("{:.0}", row.rate)),
        ),
        line("commit p50", "", each(rows, |row| shown(row.commits[0]))),
        line(
            "commit p99",
            "<= 250 ms",
            each(rows, |row| within(row.commits[1], 250 * ms)),
        ),
        line(
            "emulated, first page p50",
            "",
            each(rows, |row| shown(row.emulated[0])),
        ),
        line(
            "emulated, first page p99",
            "<= 10 ms",
            each(rows, |row| within(row.emulated[1], 10 * ms)),
        ),
        line(
            "summary by arch, mode p50",
            "",
            each(rows, |row| shown(row.by_arch[0])),
        ),
        line(
            "summary by arch, mode p99",
            "<= 20 ms",
            each(rows, |row| within(row.by_arch[1], 20 * ms)),
        ),
        line(
            "summary by workload p50",
            "",
            each(rows, |row| shown(row.by_workload[0])),
        ),
        line(
            "summary by workload p99",
            "<= 20 ms",
            each(rows, |row| within(row.by_workload[1], 20 * ms)),
        ),
        line(
            "summary by node p50",
            "",
            each(rows, |row| shown(row.by_node[0])),
        ),
        line(
            "summary by node p99",
            "<= 20 ms",
            each(rows, |row| within(row.by_node[1], 20 * ms)),
        ),
    ];
    if args.pages {
        let views = VIEWS.iter().enumerate();
        lines.extend(views.flat_map(|(i, view)| lines_of_view(rows, i, view)));
    }
    lines.extend([
        line(
            "CPUs busy at that rate",
            "",
            each(rows, |row| format!("{:.2}", row.cpu)),
        ),
        line(
            "memory before questions",
            "",
            each(rows, |row| mib(row.connected, None)),
        ),
        line(
            "memory (VmRSS)",
            "<= 512 MiB",
            each(rows, |row| mib(row.resident, Some(512))),
        ),
        line(
            "memory at most (VmHWM)",
            "<= 512 MiB",
            each(rows, |row| mib(row.peak, Some(512))),
        ),
        line("store", "", each(rows, |row| mib(row.store, None))),
    ]);
    let mut text = format!(
        "{} facts a node, {} s at a steady rate, questions every 100 ms meanwhile; !: the goal is missed\n",
        args.facts, args.seconds
    );
    for (name, goal, cells) in lines {
        let _ = write!(text, "{name:<28} {goal:>11}");
        for cell in cells {
            let _ = write!(text, " {cell:>18}");
        }
        text.push('\n');
    }
    text
}

/// A measurement, its goal, and what it came to for each size.
type Line = (String, &'static str, Vec<String>);

/// Median and 99th percentile of a view of the page.
fn lines_of_view(rows: &[Row], view: usize, name: &str) -> [Line; 2] {
    let goal = Duration::from_millis(300);
    let cells = |cell: fn([Duration; 2], Duration) -> String| {
        each(rows, |row| {
            let views = row.views.as_ref();
            let times = views.and_then(|views| views.get(view).copied());
            times.map_or_else(|| "-".to_owned(), |times| cell(times, goal))
        })
    };
    [
        (
            format!("page, {name} p50"),
            "",
            cells(|times, _| shown(times[0])),
        ),
        (
            format!("page, {name} p99"),
            "<= 300 ms",
            cells(|times, goal| within(times[1], goal)),
        ),
    ]
}

fn each(rows: &[Row], cell: impl Fn(&Row) -> String) -> Vec<String> {
    rows.iter().map(cell).collect()
}

fn within(time: Duration, goal: Duration) -> String {
    format!("{}{}", shown(time), mark(time > goal))
}

fn mark(missed: bool) -> &'static str {
    if missed { MISSED } else { "" }
}

fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn what_misses_its_goal_is_marked() {
        let fast = [Duration::from_millis(1); 2];
        let row = Row {
            nodes: 7,
            tls: true,
            facts: 210,
            first: Duration::from_secs(61),
            first_cpu: Duration::from_secs(9),
            again: Duration::from_secs(60),
            rate: 2000.0,
            commits: fast,
            emulated: fast,
            by_arch: fast,
            by_workload: fast,
            by_node: fast,
            views: Some([
                fast,
                fast,
                fast,
                [Duration::from_millis(1), Duration::from_millis(301)],
            ]),
            cpu: 0.5,
            connected: 1,
            resident: 512 << 20,
            peak: 513 << 20,
            store: 1,
        };
        let text = table(&Args::parse_from(["x", "--pages"]), &[row]);
        for part in [
            "7 nodes, mTLS",
            "61.0 s !",
            "60.0 s\n",
            " 512 MiB\n",
            "513 MiB !",
            "page, front p99                <= 300 ms             1.0 ms\n",
            "301.0 ms !",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        // The first line says what the mark means.
        let marked = text.lines().skip(1).filter(|line| line.ends_with(MISSED));
        assert_eq!(marked.count(), 3, "{text}");
    }
}
