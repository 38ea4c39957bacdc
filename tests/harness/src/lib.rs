//! What the tests on this machine and those in virtual machines share: the programs as
//! children, handlers and mounts that are undone, pods without a kubelet, questions to the collector, and
//! the cases.
//!
//! Knows archtrace only from outside: its options, its JSON, its exit codes.

pub mod binfmt;
pub mod cases;
pub mod cgroup;
pub mod client;
pub mod launch;
pub mod mount;
pub mod pods;
pub mod process;
pub mod usage;
pub mod wait;
pub mod world;
