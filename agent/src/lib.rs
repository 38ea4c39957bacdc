//! The on-node agent: sees execs in the kernel, decides what they mean, tells the collector.
//!
//! Data flows one way: `source` (kernel, registry, /proc) -> `enrich` (names, verdicts) ->
//! `archtrace_facts::aggregate` -> `archtrace_sink` (collector). It must never alter, signal or delay a
//! process, and never read arguments, environment or contents of other people's processes.
#![forbid(unsafe_code)]

pub mod config;
mod enrich;
mod local;
mod metrics;
pub mod preflight;
mod readable;
mod run;
mod source;
mod watch;

pub use run::run;

/// Why the agent ended. Each kind has an exit code of its own.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A bad option.
    #[error("{0}")]
    Usage(String),
    /// More privileges would help.
    #[error(
        "{0}\nrun it as root, or with the capabilities BPF, PERFMON, SYS_PTRACE and DAC_READ_SEARCH"
    )]
    Privilege(String),
    /// This kernel cannot be watched.
    #[error("{0}")]
    Kernel(String),
    /// Something else.
    #[error("{0}")]
    Failed(String),
}

impl AgentError {
    /// The process's exit code, as `--help` documents it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Privilege(_) => 3,
            Self::Kernel(_) => 4,
        }
    }
}
