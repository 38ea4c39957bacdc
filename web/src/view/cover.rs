//! For which nodes a page cannot speak.

use archtrace_facts::fleet::Coverage;
use archtrace_facts::human::count;
use askama::Template;

/// Names of each kind that are shown; the rest is counted.
const NAMES: usize = 20;

/// A note on every page that speaks of a fleet: a node that is silent is not fine.
#[derive(Clone, Debug, Template)]
#[template(path = "cover.html")]
pub(crate) struct Cover {
    pub(crate) reporting: String,
    pub(crate) nobody: bool,
    pub(crate) silent: Vec<Silent>,
}

/// Nodes that are silent in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Silent {
    pub(crate) state: &'static str,
    pub(crate) count: String,
    pub(crate) means: &'static str,
    pub(crate) names: String,
}

impl Cover {
    pub(crate) fn new(coverage: &Coverage) -> Self {
        let stale = silent(
            "stale",
            coverage.stale,
            "what is told of them is what was",
            &coverage.stale_nodes,
        );
        let unknown = silent(
            "unknown",
            coverage.unknown,
            "they should report and never did, so that nothing is known of them",
            &coverage.unknown_nodes,
        );
        Self {
            reporting: count(coverage.reporting),
            nobody: coverage.reporting == 0,
            silent: stale.into_iter().chain(unknown).collect(),
        }
    }
}

fn silent(
    state: &'static str,
    number: u64,
    means: &'static str,
    names: &[String],
) -> Option<Silent> {
    let mut shown: Vec<_> = names.iter().take(NAMES).cloned().collect();
    let more = number.saturating_sub(u64::try_from(shown.len()).unwrap_or(u64::MAX));
    if more > 0 {
        shown.push(format!("{} more", count(more)));
    }
    (number > 0).then(|| Silent {
        state,
        count: count(number),
        means,
        names: shown.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_said_and_bounded() {
        let names: Vec<_> = (0..100).map(|i| format!("n{i}")).collect();
        let coverage = Coverage {
            reporting: 1200,
            stale: 1,
            unknown: 1022,
            stale_nodes: vec!["old".to_owned()],
            unknown_nodes: names,
            source: "file".to_owned(),
        };
        let Cover {
            reporting,
            nobody,
            silent,
        } = Cover::new(&coverage);
        assert_eq!((reporting.as_str(), nobody), ("1,200", false));
        assert_eq!(silent[0].names, "old");
        assert!(silent[1].names.ends_with("n19, 1,002 more"), "{silent:?}");
        let nobody = Cover::new(&Coverage::default());
        assert!(nobody.silent.is_empty() && nobody.nobody);
    }
}
