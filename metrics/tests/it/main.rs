//! What is made of the metrics, held against the list of them in docs/metrics.md; that list itself is held
//! against real pages, by the tests of agent and collector.

mod deploy;
