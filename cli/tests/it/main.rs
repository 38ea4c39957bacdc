//! `archtrace`, run for real against a collector of this process.

mod agree;
mod answers;
mod cost;
mod coverage;
mod failures;
mod matrix;
mod plugin;
mod program;
mod records;
mod scan;
mod selection;
mod silence;
mod streams;
mod support;
mod tls;
mod top;
mod verify;
