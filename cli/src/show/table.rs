//! Tables for people, without lines: easy to read, easy to cut columns out of.

mod agents;
mod cost;
mod events;
mod facts;
mod findings;
mod handlers;
mod images;
mod matrix;
mod nodes;
mod scan;
mod status;
mod summary;
mod tags;
mod verify;

pub(super) use agents::{agents, agents_wide};
pub(super) use cost::cost;
pub(super) use events::{events, events_wide, more_events, more_events_wide};
pub(super) use facts::{changes, changes_wide, facts, facts_wide};
pub(super) use findings::{findings, findings_wide};
pub(super) use handlers::handlers;
pub(super) use images::{images, images_wide};
pub(super) use matrix::{matrix, matrix_wide};
pub(super) use nodes::{nodes, nodes_wide};
pub(super) use scan::{scan, scan_wide};
pub(super) use status::status;
pub(super) use summary::summary;
pub(super) use tags::{tags, tags_wide};
pub(super) use verify::verified;

use std::io::IsTerminal as _;

use archtrace_facts::fact::{EventKind, FactKey, Mode};
use archtrace_facts::finding::Severity;
use archtrace_facts::fleet::NodeState;
use archtrace_facts::identity::Identity;
use archtrace_facts::matrix::Status;
use archtrace_facts::report::Record;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width,
};

/// A table, with colour if that is wanted.
struct Listing {
    table: Table,
    colour: bool,
}

impl Listing {
    /// Names that begin with `>` are of columns of numbers.
    pub(super) fn new(head: &[&str], arrangement: ContentArrangement) -> Self {
        // https://no-color.org: any value but the empty one.
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colour = wanted && std::io::stdout().is_terminal();
        let mut table = Table::new();
        table
            .load_preset(comfy_table::presets::NOTHING)
            .set_content_arrangement(arrangement);
        let name = |name: &&str| match name.strip_prefix('>') {
            Some(name) => Cell::new(name).set_alignment(CellAlignment::Right),
            None => Cell::new(name),
        };
        if !head.is_empty() {
            let bold = |cell: Cell| {
                if colour {
                    cell.add_attribute(Attribute::Bold)
                } else {
                    cell
                }
            };
            table.set_header(head.iter().map(name).map(bold));
        }
        Self { table, colour }
    }

    pub(super) fn plain(&self, text: impl ToString) -> Cell {
        Cell::new(text)
    }

    pub(super) fn number(&self, text: String) -> Cell {
        Cell::new(text).set_alignment(CellAlignment::Right)
    }

    pub(super) fn mode(&self, key: &FactKey) -> Cell {
        let cell = Cell::new(key.mode);
        match key.mode {
            Mode::Emulated => self.colour(cell, Color::Yellow),
            Mode::Failed => self.colour(cell, Color::Red),
            Mode::Native | Mode::Compat => cell,
        }
    }

    pub(super) fn kind(&self, record: &Record) -> Cell {
        let cell = Cell::new(record.kind());
        match record {
            Record::Event(event) => match event.kind {
                EventKind::EmulatedExec => self.colour(cell, Color::Yellow),
                EventKind::FailedExec | EventKind::IllegalInstruction => {
                    self.colour(cell, Color::Red)
                }
            },
            Record::Handler(_) => self.colour(cell, Color::Cyan),
            Record::Loss(_) => self.colour(cell, Color::Magenta),
        }
    }

    pub(super) fn state(&self, state: NodeState) -> Cell {
        let cell = Cell::new(state.as_str());
        match state {
            NodeState::Reporting => self.colour(cell, Color::Green),
            NodeState::Stale | NodeState::Unknown => self.colour(cell, Color::Red),
        }
    }

    pub(super) fn status(&self, status: Status) -> Cell {
        let cell = Cell::new(status.as_str());
        match status {
            Status::Pass => self.colour(cell, Color::Green),
            Status::Waived => self.colour(cell, Color::Cyan),
            Status::Gate => self.colour(cell, Color::Yellow),
            Status::Fix => self.colour(cell, Color::Red),
        }
    }

    pub(super) fn severity(&self, severity: Option<Severity>) -> Cell {
        self.by_severity(severity.map_or("", Severity::as_str), severity)
    }

    /// A text in the colour of a severity.
    pub(super) fn by_severity(&self, text: impl ToString, severity: Option<Severity>) -> Cell {
        match severity.and_then(scan::colour) {
            Some(colour) => self.colour(Cell::new(text), colour),
            None => Cell::new(text),
        }
    }

    pub(super) fn colour(&self, cell: Cell, colour: Color) -> Cell {
        if self.colour { cell.fg(colour) } else { cell }
    }

    pub(super) fn add(&mut self, row: Vec<Cell>) {
        self.table.add_row(row);
    }

    pub(super) fn pair(&mut self, name: &str, value: impl ToString) {
        let row = vec![self.plain(name), self.plain(value)];
        self.add(row);
    }

    /// Every line without the blanks at its end.
    pub(super) fn text(mut self) -> String {
        for column in self.table.column_iter_mut() {
            column.set_padding((0, BLANKS));
        }
        let text = self.table.to_string();
        text.lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }

    /// The same, in line with what was printed before; the head only once.
    pub(super) fn below(mut self, Columns(widths): &mut Columns) -> String {
        let first = widths.is_empty();
        let contents = self.table.column_max_content_widths();
        widths.resize(contents.len(), 0);
        for (width, content) in widths.iter_mut().zip(contents) {
            *width = content.max(*width).min(WIDEST);
        }
        for (column, width) in self.table.column_iter_mut().zip(&*widths) {
            let least = Width::Fixed(width + BLANKS);
            column.set_constraint(ColumnConstraint::LowerBoundary(least));
        }
        let text = self.text();
        match text.split_once('\n') {
            Some((_, rows)) if !first => rows.to_owned(),
            _ => text,
        }
    }
}

/// Between two columns.
const BLANKS: u16 = 2;

/// One long name should not push what comes after it out of sight for good.
const WIDEST: u16 = 60;

/// How wide the columns are of a table that goes on.
#[derive(Debug, Default)]
pub(crate) struct Columns(Vec<u16>);

/// A name that could not be resolved may mean another file than it seems to.
fn binary(key: &FactKey) -> String {
    key.shown_binary()
}

/// Where something runs.
fn place(identity: &Identity) -> String {
    identity.place()
}
