//! Questions to a store in memory: what depends on time, on order and on failures of a store.

mod coverage;
mod follow;
mod growth;
mod matrix;
mod memory;
mod verify;
mod view;
