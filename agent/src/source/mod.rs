//! Where facts come from: the kernel's programs and maps, `binfmt_misc`, `/proc`.
//!
//! This is an edge: it reads and hands over, and decides nothing about execs.

pub(crate) mod btf;
pub(crate) mod compat;
pub(crate) mod hooks;
pub(crate) mod interpreters;
pub(crate) mod klog;
pub(crate) mod maps;
pub(crate) mod missed;
pub(crate) mod mounts;
pub(crate) mod node;
pub(crate) mod offsets;
pub(crate) mod privileges;
pub(crate) mod procs;
pub(crate) mod programs;
pub(crate) mod prove;
pub(crate) mod registry;
pub(crate) mod sensor;
pub(crate) mod stats;
pub(crate) mod tasks;
pub(crate) mod usage;
