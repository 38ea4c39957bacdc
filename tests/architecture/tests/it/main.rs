//! What ARCHITECTURE.md says of the source, where the source can tell.
//!
//! Where one of these fails, either the change is not what this project is to be, or ARCHITECTURE.md and the list here
//! change with it.

mod crates;
mod facts;
mod files;
mod places;
mod product;
