//! Why a command did not do what it was asked to, and the exit code that says so.

use std::io;
use std::process::ExitCode;

use archtrace_agent::AgentError;
use archtrace_proto::convert::ConvertError;
use tonic::{Code, Status};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(
        "cannot reach the collector at {server}: {reason}\n\
         Start one with 'archtrace-collector', or name another with --server URL or ARCHTRACE_SERVER."
    )]
    Unreachable { server: String, reason: String },
    #[error("the collector at {server} refused the question: {reason}")]
    Refused { server: String, reason: String },
    #[error(
        "the collector at {server} answered something that this version does not know ({reason}); \
         use the archtrace of the collector's version"
    )]
    Answer {
        server: String,
        reason: ConvertError,
    },
    #[error("this machine cannot be watched: {0}")]
    Machine(#[from] AgentError),
    #[error("-o sarif is for archtrace scan only; this command prints table, wide or json")]
    Format,
    #[error("interrupted")]
    Interrupted(u8),
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// What a call that failed means. A connection that broke is told from an answer that is no.
    pub(crate) fn of(server: &str, status: &Status) -> Self {
        let server = server.to_owned();
        let mut reason = status.message().to_owned();
        if reason.is_empty() {
            reason = format!("{:?}", status.code());
        }
        let broken = std::error::Error::source(status).is_some();
        if broken || matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) {
            return Self::Unreachable { server, reason };
        }
        Self::Refused { server, reason }
    }

    /// Says on stderr what failed. Whoever closes a pipe has seen enough: that is no failure.
    pub(crate) fn report(&self) -> ExitCode {
        if matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        eprintln!("archtrace: {self}");
        match self {
            Self::Unreachable { .. } => 3.into(),
            Self::Format => 2.into(),
            // As shells tell of a signal.
            Self::Interrupted(signal) => signal.saturating_add(128).into(),
            Self::Refused { .. } | Self::Answer { .. } | Self::Machine(_) | Self::Output(_) => {
                ExitCode::FAILURE
            }
        }
    }
}
