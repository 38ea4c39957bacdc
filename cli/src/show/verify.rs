//! What `archtrace verify` found.

use std::time::Duration;

use archtrace_facts::fleet::Coverage;
use archtrace_facts::gate::{Report, Wanted};

use super::{json, lines, table};
use crate::args::Output;

/// What is not native is listed up to here; the rest is counted. Whoever has so much of it needs no more.
const LISTED: usize = 1000;

/// The answer, and to what.
#[derive(Debug)]
pub(crate) struct Verified<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) report: &'a Report,
    pub(crate) coverage: &'a Coverage,
    /// For how long.
    pub(crate) watched: Duration,
}

impl Verified<'_> {
    /// How many of what is not native are left out.
    pub(super) fn left_out(&self) -> usize {
        self.report.not_native.len().saturating_sub(LISTED)
    }

    /// What is not native, as far as it is listed.
    pub(super) fn listed(
        &self,
    ) -> impl Iterator<Item = &(archtrace_facts::gate::Why, archtrace_facts::fleet::NodeFact)> {
        self.report.not_native.iter().take(LISTED)
    }
}

pub(crate) fn verified(verified: &Verified<'_>, output: Output) -> String {
    match output {
        Output::Json => lines([json::verified(verified)].into_iter()),
        Output::Wide | Output::Table => table::verified(verified),
    }
}
