//! Why a command did not do what it was asked to, and the exit code that says so.

use std::io;

use archtrace_agent::AgentError;
use archtrace_proto::convert::ConvertError;

use crate::client::Peer;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot reach {peer}: {reason}\n{help}")]
    Unreachable {
        peer: Peer,
        reason: String,
        help: &'static str,
    },
    #[error(
        "{peer} did not answer in time\n\
         Give it longer with --timeout SECONDS, or ask for less."
    )]
    Late { peer: Peer },
    #[error("{peer} does not let you ask: {reason}\n{help}")]
    Denied {
        peer: Peer,
        reason: String,
        help: &'static str,
    },
    #[error("{peer} refused the question: {reason}")]
    Refused { peer: Peer, reason: String },
    #[error(
        "{peer} answered something that this version does not know ({reason}); \
         use the archtrace of its version"
    )]
    Answer { peer: Peer, reason: ConvertError },
    #[error("no way to the collector of the cluster: {what}\n{help}")]
    Cluster { what: String, help: &'static str },
    #[error("{name}: {reason}")]
    Option { name: &'static str, reason: String },
    #[error("{place}: {what}; archtrace cost --help shows what a price table looks like")]
    Prices { place: String, what: String },
    #[error("this machine cannot be watched: {0}")]
    Machine(#[from] AgentError),
    #[error("-o {0} is not for this command, which prints {1}")]
    Format(&'static str, &'static str),
    #[error("interrupted")]
    Interrupted(u8),
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Whether the same may work a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Late { .. })
    }

    /// Says on stderr what failed, and returns the exit code that says it. Whoever closes a pipe has seen
    /// enough: that is no failure.
    pub(crate) fn report(&self) -> u8 {
        if matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return 0;
        }
        eprintln!("archtrace: {self}");
        match self {
            Self::Unreachable { .. } | Self::Late { .. } | Self::Cluster { .. } => 3,
            Self::Denied { .. } => 4,
            Self::Format(..) | Self::Option { .. } | Self::Prices { .. } => 2,
            // As shells tell of a signal.
            Self::Interrupted(signal) => signal.saturating_add(128),
            Self::Refused { .. } | Self::Answer { .. } | Self::Machine(_) | Self::Output(_) => 1,
        }
    }
}
