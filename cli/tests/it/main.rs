//! `archtrace`, run for real against a collector of this process.

mod agree;
mod answers;
mod coverage;
mod cost;
mod failures;
mod matrix;
mod program;
mod records;
mod scan;
mod selection;
mod silence;
mod streams;
mod support;
mod tls;
mod verify;
mod top;
