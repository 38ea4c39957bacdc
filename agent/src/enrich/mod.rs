//! From numbers to names: times, cgroups, paths and verdicts.

pub(crate) mod audits;
pub(crate) mod cgroup;
pub(crate) mod clock;
pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod look;
pub(crate) mod names;
pub(crate) mod path;
pub(crate) mod reader;
