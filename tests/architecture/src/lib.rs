//! Reads this workspace as text, for tests that hold it against ARCHITECTURE.md.
//!
//! | module | what |
//! |---|---|
//! | [`source`] | files, and which names they speak of: comments and texts do not count |
//! | [`crates`] | what each package depends on, as cargo says it |
#![forbid(unsafe_code)]

pub mod crates;
pub mod source;

use std::env;
use std::path::{Path, PathBuf};

/// The root of the workspace that is tested: programs of a target directory that checkouts share may have been built
/// in another one.
#[must_use]
pub fn root() -> PathBuf {
    let here =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}
