//! The session against a collector that does what it is told, also what no collector should do.

mod fake;
mod nonsense;
mod protocol;
mod tls;
