//! One object a line. The order of the fields is that of the structs; fields are only ever added,
//! at the end.

mod events;
mod facts;
mod nodes;

pub(super) use events::event;
pub(super) use facts::fact;
pub(super) use nodes::{node, status};
