//! What releases left behind: their protocol, what their collectors had stored, and how they answered. Tests hold
//! this version against it; `archtrace-record-release` writes it down.
//!
//! | module | what |
//! |---|---|
//! | [`left`] | where it is |
//! | [`reduce`] | a message as somebody sees it who knows another protocol |
//! | [`raw`] | gRPC by messages of which only a descriptor is known |
//! | [`ask`] | questions to a collector, by a release's protocol, and their answers |
//! | [`filter`] | a way to a collector on which everything is reduced to a release's protocol |
//! | [`record`] | how it is written down |
//!
//! What must not happen here: something of a release is changed once it is out.
#![forbid(unsafe_code)]

pub mod ask;
pub mod filter;
pub mod left;
pub mod raw;
pub mod record;
pub mod reduce;
