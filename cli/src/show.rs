//! Answers as text: tables for people, lines of JSON for programs.

mod cost;
mod coverage;
pub(crate) mod human;
mod json;
mod live;
mod matrix;
mod sarif;
pub(crate) mod scan;
mod table;
mod verify;

pub(crate) use cost::unpriced;
pub(crate) use coverage::warnings;
pub(crate) use live::{EventLines, FactLines};
pub(crate) use matrix::{Shape, matrix};
pub(crate) use verify::verified;

use std::fmt::Write as _;

use archtrace_facts::arch::Arch;
use archtrace_facts::cost::{Cost, CostDimension, Slowdown};
use archtrace_facts::fleet::{
    Dimension, FleetFinding, FleetImage, NodeEvent, NodeFact, NodeStatus, ServerStatus, Summary,
};
use archtrace_facts::registry::DeployedTag;
use serde::Serialize;

use self::scan::Target;
use crate::args::Output;
use crate::client::{Agents, Answer};

/// Which table facts go into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All are emulated: the emulator matters, the mode is clear.
    Emulated,
    /// All modes.
    Facts,
}

/// What happened to a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Changed,
    Removed,
}

impl Change {
    /// For tables.
    fn sign(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Changed => "~",
            Self::Removed => "-",
        }
    }

    /// For JSON.
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

pub(crate) fn facts(answer: &Answer<Vec<NodeFact>>, output: Output, kind: Kind) -> String {
    match output {
        Output::Json => covered(answer, json::fact),
        Output::Wide => table::facts_wide(&answer.told),
        Output::Table => table::facts(&answer.told, kind),
    }
}

pub(crate) fn events(answer: &Answer<Vec<NodeEvent>>, output: Output) -> String {
    match output {
        Output::Json => covered(answer, json::event),
        Output::Wide => table::events_wide(&answer.told),
        Output::Table => table::events(&answer.told),
    }
}

pub(crate) fn findings(answer: &Answer<Vec<FleetFinding>>, output: Output) -> String {
    match output {
        Output::Json => covered(answer, json::finding),
        Output::Wide => table::findings_wide(&answer.told),
        Output::Table => table::findings(&answer.told),
    }
}

pub(crate) fn agents(answer: &Answer<Agents>, output: Output, history: bool) -> String {
    let Answer { told, coverage } = answer;
    match output {
        Output::Json => {
            let rows = told.rows.iter();
            let rows = rows.map(|row| json::agent(row, &told.without_nodes));
            lines(rows.map(|row| json::Covered::new(row, coverage)))
        }
        Output::Wide => table::agents_wide(told, history),
        Output::Table => table::agents(told, history),
    }
}

pub(crate) fn summary(answer: &Answer<Summary>, by: &[Dimension], output: Output) -> String {
    let Answer { told, coverage } = answer;
    match output {
        Output::Json => {
            let rows = told.rows.iter().map(|row| json::summary(row, by));
            lines(rows.map(|row| json::Covered::new(row, coverage)))
        }
        Output::Wide | Output::Table => table::summary(told, by, coverage),
    }
}

pub(crate) fn cost(
    answer: &Answer<Cost>,
    by: &[CostDimension],
    slowdown: Option<Slowdown>,
    output: Output,
) -> String {
    let Answer { told, coverage } = answer;
    match output {
        Output::Json => {
            let rows = told.rows.iter();
            let rows = rows.map(|row| json::cost(told, row, by));
            lines(rows.map(|row| json::Covered::new(row, coverage)))
        }
        Output::Wide | Output::Table => table::cost(told, by, coverage, slowdown),
    }
}

pub(crate) fn images(answer: &Answer<Vec<FleetImage>>, output: Output) -> String {
    match output {
        Output::Json => covered(answer, json::image),
        Output::Wide => table::images_wide(&answer.told),
        Output::Table => table::images(&answer.told),
    }
}

pub(crate) fn tags(answer: &Answer<Vec<DeployedTag>>, arch: Arch, output: Output) -> String {
    let Answer { told, coverage } = answer;
    match output {
        Output::Json => {
            let tags = told.iter().map(|tag| json::tag(tag, arch));
            lines(tags.map(|tag| json::Covered::new(tag, coverage)))
        }
        Output::Wide => table::tags_wide(told),
        Output::Table => table::tags(told),
    }
}

pub(crate) fn nodes(answer: &Answer<Vec<NodeStatus>>, output: Output) -> String {
    match output {
        Output::Json => covered(answer, json::node),
        Output::Wide => table::nodes_wide(&answer.told),
        Output::Table => table::nodes(&answer.told),
    }
}

pub(crate) fn handlers(answer: &Answer<Vec<NodeStatus>>, output: Output) -> String {
    let Answer { told, coverage } = answer;
    match output {
        Output::Json => {
            let handlers = told.iter().flat_map(json::handlers);
            lines(handlers.map(|handler| json::Covered::new(handler, coverage)))
        }
        Output::Wide => table::handlers(told, true),
        Output::Table => table::handlers(told, false),
    }
}

pub(crate) fn status(status: &ServerStatus, server: &str, output: Output) -> String {
    match output {
        Output::Json => lines([json::status(status, server)].into_iter()),
        Output::Wide | Output::Table => table::status(status, server),
    }
}

/// As SARIF if there is no `output`.
pub(crate) fn scan(targets: &[Target], output: Option<Output>) -> String {
    match output {
        Some(Output::Json) => lines(targets.iter().flat_map(json::scan)),
        Some(Output::Wide) => table::scan_wide(targets),
        Some(Output::Table) => table::scan(targets),
        None => lines([sarif::log(targets)].into_iter()),
    }
}

/// Every object says of how many nodes the answer that it is part of speaks.
fn covered<'a, T, J: Serialize>(
    Answer { told, coverage }: &'a Answer<Vec<T>>,
    json: fn(&'a T) -> J,
) -> String {
    lines(
        told.iter()
            .map(|item| json::Covered::new(json(item), coverage)),
    )
}

fn lines<T: Serialize>(objects: impl Iterator<Item = T>) -> String {
    let mut text = String::new();
    for object in objects {
        // These are plain structs of texts and numbers, which always serialise.
        if let Ok(line) = serde_json::to_string(&object) {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}
