//! What an architecture fact is, and how one is derived.
//!
//! This crate decides; it never looks. It must not do I/O, ask for the time, spawn anything or
//! use `unsafe`: what the kernel, `/proc` or a file said comes in as bytes, and what follows from
//! it goes out as a value. That is what makes every decision testable as data.
//!
//! | module | from | to |
//! |---|---|---|
//! | [`arch`] | ELF machine, class and byte order | Kubernetes' names |
//! | [`elf`] | the first bytes of a file | what kind of executable it is |
//! | [`binfmt`] | a `binfmt_misc` entry | which files it claims, for which machine |
//! | [`verdict`] | the passes of one exec | native, compat, emulated or failed, and why |
//! | [`fact`] | — | the vocabulary: facts, events, losses |
//! | [`aggregate`] | kernel counters and verdicts | facts with counts and times, and what changed |
//! | [`node`], [`report`] | — | what one agent tells of its node and sends to a collector |
//! | [`fleet`] | — | what a collector answers about many nodes |
//! | [`text`] | bytes of unknown encoding | printable text |
#![forbid(unsafe_code)]

pub mod aggregate;
pub mod arch;
pub mod binfmt;
pub mod elf;
pub mod fact;
pub mod fleet;
pub mod node;
pub mod report;
pub mod text;
pub mod verdict;
