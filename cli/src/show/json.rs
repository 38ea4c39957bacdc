//! One object a line. The order of the fields is that of the structs; fields are only ever added,
//! at the end.

mod events;
mod facts;
mod identity;
mod images;
mod nodes;
mod scan;

pub(super) use events::event;
pub(super) use facts::fact;
pub(super) use images::image;
pub(super) use nodes::{node, status};
pub(super) use scan::scan;
