//! What streams tell, as it comes.

use archtrace_facts::fleet::{Coverage, NodeEvent, NodeFact};

use super::table::{self, Columns};
use super::{Change, json, lines};
use crate::args::Output;

/// Events, below those that were printed before.
#[derive(Debug)]
pub(crate) struct EventLines {
    output: Output,
    columns: Columns,
}

impl EventLines {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            output,
            columns: Columns::default(),
        }
    }

    pub(crate) fn events(&mut self, events: &[NodeEvent]) -> String {
        if events.is_empty() {
            // No head before there is a row, whose widths it has to fit.
            return String::new();
        }
        match self.output {
            Output::Json => lines(events.iter().map(json::event)),
            Output::Wide => table::more_events_wide(events, &mut self.columns),
            Output::Table => table::more_events(events, &mut self.columns),
        }
    }

    /// `None` where it is told on stderr instead.
    pub(crate) fn coverage(&self, coverage: &Coverage) -> Option<String> {
        let json = self.output == Output::Json;
        json.then(|| lines([json::event_coverage(coverage)].into_iter()))
    }

    /// `None` where it is told on stderr instead.
    pub(crate) fn skipped(&self, count: u64) -> Option<String> {
        let json = self.output == Output::Json;
        json.then(|| lines([json::EventNote::Skipped { count }].into_iter()))
    }
}

/// Changes of facts, below those that were printed before.
#[derive(Debug)]
pub(crate) struct FactLines {
    output: Output,
    columns: Columns,
}

impl FactLines {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            output,
            columns: Columns::default(),
        }
    }

    pub(crate) fn changes(&mut self, changes: &[(Change, NodeFact)]) -> String {
        match self.output {
            Output::Json => lines(changes.iter().map(json::changed)),
            Output::Wide => table::changes_wide(changes, &mut self.columns),
            Output::Table => table::changes(changes, &mut self.columns),
        }
    }

    /// Nothing in tables.
    pub(crate) fn snapshot_begin(&self, reason: &str) -> String {
        self.note(json::FactNote::SnapshotBegin { reason })
    }

    /// Nothing in tables.
    pub(crate) fn snapshot_end(&self, facts: u64) -> String {
        self.note(json::FactNote::SnapshotEnd { facts })
    }

    /// `None` where it is told on stderr instead.
    pub(crate) fn coverage(&self, coverage: &Coverage) -> Option<String> {
        let json = self.output == Output::Json;
        json.then(|| self.note(json::fact_coverage(coverage)))
    }

    fn note(&self, note: json::FactNote<'_>) -> String {
        match self.output {
            Output::Json => lines([note].into_iter()),
            Output::Wide | Output::Table => String::new(),
        }
    }
}
