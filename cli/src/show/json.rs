//! One object a line. The order of the fields is that of the structs; fields are only ever added,
//! at the end.

mod agents;
mod cost;
mod coverage;
mod events;
mod facts;
mod found;
mod identity;
mod images;
mod matrix;
mod nodes;
mod scan;
mod status;
mod stream;
mod summary;
mod tags;
mod verify;

pub(super) use agents::agent;
pub(super) use cost::cost;
pub(super) use coverage::Covered;
pub(super) use events::event;
pub(super) use facts::fact;
pub(super) use found::finding;
pub(super) use images::image;
pub(super) use matrix::matrix;
pub(super) use nodes::{handlers, node};
pub(super) use scan::scan;
pub(super) use status::status;
pub(super) use stream::{EventNote, FactNote, changed, event_coverage, fact_coverage};
pub(super) use summary::summary;
pub(super) use tags::tag;
pub(super) use verify::verified;
