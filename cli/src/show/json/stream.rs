//! What streams tell besides events and facts. `change` and `kind` say what a line is.

use archtrace_facts::fleet::{Coverage, NodeFact};
use serde::Serialize;

use super::coverage::Whole;
use super::facts::{Fact, fact};
use crate::show::Change;

/// A fact that changed; as it was last, if it was removed.
#[derive(Serialize)]
pub(crate) struct ChangedFact<'a> {
    change: &'static str,
    #[serde(flatten)]
    fact: Fact<'a>,
}

pub(crate) fn changed((change, value): &(Change, NodeFact)) -> ChangedFact<'_> {
    ChangedFact {
        change: change.as_str(),
        fact: fact(value),
    }
}

/// Something else among facts.
#[derive(Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(crate) enum FactNote<'a> {
    /// What follows is all there is.
    SnapshotBegin { reason: &'a str },
    /// All of it was told.
    SnapshotEnd { facts: u64 },
    /// For which nodes this cannot speak.
    Coverage(Whole<'a>),
}

/// Something else among events.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum EventNote<'a> {
    /// For which nodes this cannot speak.
    Coverage(Whole<'a>),
    /// That many were not told, because they were not read in time.
    Skipped { count: u64 },
}

pub(crate) fn fact_coverage(coverage: &Coverage) -> FactNote<'_> {
    FactNote::Coverage(coverage.into())
}

pub(crate) fn event_coverage(coverage: &Coverage) -> EventNote<'_> {
    EventNote::Coverage(coverage.into())
}
