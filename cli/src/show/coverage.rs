//! For which nodes an answer cannot speak.

use archtrace_facts::fleet::Coverage;

use super::human::count;

/// Names in one line; the rest is counted.
const NAMES: usize = 10;

/// A line for each kind of silence; nothing if every node reports.
pub(crate) fn warnings(coverage: &Coverage) -> Vec<String> {
    let Coverage {
        reporting: _,
        stale,
        unknown,
        stale_nodes,
        unknown_nodes,
        source: _,
    } = coverage;
    let mut lines = Vec::new();
    if *stale > 0 {
        lines.push(line(
            *stale,
            "is stale: what is told of it is what was",
            "are stale: what is told of them is what was",
            stale_nodes,
        ));
    }
    if *unknown > 0 {
        lines.push(line(
            *unknown,
            "never reported: nothing is known of it",
            "never reported: nothing is known of them",
            unknown_nodes,
        ));
    }
    lines
}

fn line(number: u64, one: &str, many: &str, names: &[String]) -> String {
    let what = if number == 1 {
        format!("1 node {one}")
    } else {
        format!("{} nodes {many}", count(number))
    };
    let mut shown: Vec<_> = names.iter().take(NAMES).cloned().collect();
    let left_out = number.saturating_sub(shown.len() as u64);
    if left_out > 0 && !shown.is_empty() {
        shown.push(format!("and {} more", count(left_out)));
    }
    if shown.is_empty() {
        return what;
    }
    format!("{what} ({})", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_nodes_are_named() {
        let names = |count: usize| (0..count).map(|i| format!("n{i}")).collect();
        for (stale, unknown, expected) in [
            (0, 0, &[][..]),
            (
                1,
                0,
                &["1 node is stale: what is told of it is what was (n0)"],
            ),
            (
                2,
                1,
                &[
                    "2 nodes are stale: what is told of them is what was (n0, n1)",
                    "1 node never reported: nothing is known of it (n0)",
                ],
            ),
            (
                0,
                1200,
                &[
                    "1,200 nodes never reported: nothing is known of them (n0, n1, n2, n3, n4, n5, n6, \
                   n7, n8, n9, and 1,190 more)",
                ],
            ),
        ] {
            let coverage = Coverage {
                stale,
                unknown,
                stale_nodes: names(usize::try_from(stale).expect("few")),
                unknown_nodes: names(usize::try_from(unknown.min(100)).expect("few")),
                ..Coverage::default()
            };
            assert_eq!(warnings(&coverage), expected, "{stale} {unknown}");
        }
    }
}
