//! Answers as text: tables for people, lines of JSON for programs.

pub(crate) mod human;
mod json;
mod sarif;
pub(crate) mod scan;
mod table;
mod words;

use std::fmt::Write as _;

use archtrace_facts::fleet::{FleetImage, NodeEvent, NodeFact, NodeStatus, ServerStatus};
use serde::Serialize;

use self::scan::Target;
use crate::args::{Format, Output};

/// Which table facts go into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// All are emulated: the emulator matters, the mode is clear.
    Emulated,
    /// All modes.
    Facts,
}

pub(crate) fn facts(facts: &[NodeFact], output: Output, columns: Columns) -> String {
    match output {
        Output::Json => lines(facts.iter().map(json::fact)),
        Output::Wide => table::facts_wide(facts),
        Output::Table => table::facts(facts, columns),
    }
}

pub(crate) fn events(events: &[NodeEvent], output: Output) -> String {
    match output {
        Output::Json => lines(events.iter().map(json::event)),
        Output::Wide => table::events_wide(events),
        Output::Table => table::events(events),
    }
}

pub(crate) fn images(images: &[FleetImage], output: Output) -> String {
    match output {
        Output::Json => lines(images.iter().map(json::image)),
        Output::Wide => table::images_wide(images),
        Output::Table => table::images(images),
    }
}

pub(crate) fn nodes(nodes: &[NodeStatus], output: Output) -> String {
    match output {
        Output::Json => lines(nodes.iter().map(json::node)),
        Output::Wide => table::nodes_wide(nodes),
        Output::Table => table::nodes(nodes),
    }
}

pub(crate) fn status(status: &ServerStatus, server: &str, output: Output) -> String {
    match output {
        Output::Json => lines([json::status(status, server)].into_iter()),
        Output::Wide | Output::Table => table::status(status, server),
    }
}

pub(crate) fn scan(targets: &[Target], format: Format) -> String {
    match format {
        Format::Json => lines(targets.iter().flat_map(json::scan)),
        Format::Sarif => lines([sarif::log(targets)].into_iter()),
        Format::Wide => table::scan_wide(targets),
        Format::Table => table::scan(targets),
    }
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
