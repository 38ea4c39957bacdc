//! The documents as tests see them: pages, their links, and their blocks of code with what is said of them.
//!
//! What must not happen here: no rule of what a document should say. Those are in tests, here and in the
//! packages that own what a document tells of.
#![forbid(unsafe_code)]

pub mod notes;
pub mod page;
pub mod shell;

pub use notes::{Note, Notes};
pub use page::{Block, Page};
