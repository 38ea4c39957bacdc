//! For which nodes an answer cannot speak.

use archtrace_facts::fleet::Coverage;
use serde::Serialize;

/// An object of an answer, and how many nodes that speaks for. Their names are on stderr, and in
/// `archtrace status`: in each line they would be too much.
#[derive(Serialize)]
pub(crate) struct Covered<T> {
    #[serde(flatten)]
    item: T,
    coverage: Counts,
}

#[derive(Serialize)]
struct Counts {
    reporting: u64,
    stale: u64,
    unknown: u64,
}

impl<T> Covered<T> {
    pub(crate) fn new(item: T, coverage: &Coverage) -> Self {
        let coverage = Counts {
            reporting: coverage.reporting,
            stale: coverage.stale,
            unknown: coverage.unknown,
        };
        Self { item, coverage }
    }
}

/// All that is known of it.
#[derive(Serialize)]
pub(crate) struct Whole<'a> {
    reporting: u64,
    stale: u64,
    unknown: u64,
    stale_nodes: &'a [String],
    unknown_nodes: &'a [String],
    source: &'a str,
}

impl<'a> From<&'a Coverage> for Whole<'a> {
    fn from(coverage: &'a Coverage) -> Self {
        let Coverage {
            reporting,
            stale,
            unknown,
            stale_nodes,
            unknown_nodes,
            source,
        } = coverage;
        Self {
            reporting: *reporting,
            stale: *stale,
            unknown: *unknown,
            stale_nodes,
            unknown_nodes,
            source,
        }
    }
}
