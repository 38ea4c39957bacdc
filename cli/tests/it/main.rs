//! `archtrace`, run for real against a collector of this process.

mod answers;
mod failures;
mod records;
mod scan;
mod support;
