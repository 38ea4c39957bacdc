//! Documents are held against the programs, by the programs.

mod commands;
mod links;
mod protocol;
mod written;
