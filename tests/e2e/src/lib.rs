//! Tests of the programs on this machine; see `tests/host.rs`.
