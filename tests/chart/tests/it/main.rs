//! The chart, rendered by Helm for a matrix of values, against schemas, against the programs, and against what
//! it promises.

mod agent;
mod collector;
mod documents;
mod krew;
mod manifest;
mod matrix;
mod monitoring;
mod programs;
mod refused;
mod tls;
mod whole;
