//! This version works with what releases left behind, and with their programs that still run.

mod agents;
mod rollback;
mod running;
mod statements;
mod stores;
