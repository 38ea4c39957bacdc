//! Reads this workspace as text, for tests that hold it against ARCHITECTURE.md.
//!
//! | module | what |
//! |---|---|
//! | [`source`] | files, and which names they speak of: comments and texts do not count |
//! | [`crates`] | what each package depends on, as cargo says it |
#![forbid(unsafe_code)]

pub mod crates;
pub mod source;

use std::path::Path;

/// The root of the workspace.
#[must_use]
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}
