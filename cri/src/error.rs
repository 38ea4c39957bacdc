//! Why a question was not answered.

use std::path::PathBuf;
use std::time::Duration;

use tonic::Code;

/// Why a question was not answered, with the socket that it went to.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    /// The path cannot be put into a URI.
    #[error("{0}: a socket's path must be UTF-8")]
    BadPath(PathBuf),
    /// Nobody listens there, or whoever did has gone away.
    #[error("{socket}: {reason}; is the container runtime running?")]
    Unreachable {
        /// The socket.
        socket: String,
        /// As the transport tells it.
        reason: String,
    },
    /// It has not answered in time.
    #[error("{socket}: no answer to {call} within {patience:?}")]
    Deadline {
        /// The socket.
        socket: String,
        /// What was asked.
        call: &'static str,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The answer is larger than what is read of one.
    #[error("{socket}: the answer to {call} is too large: {reason}")]
    TooLarge {
        /// The socket.
        socket: String,
        /// What was asked.
        call: &'static str,
        /// Which sizes.
        reason: String,
    },
    /// It does not know this container, pod or image (any more).
    #[error("{socket}: {call}: unknown: {reason}")]
    Unknown {
        /// The socket.
        socket: String,
        /// What was asked.
        call: &'static str,
        /// As it tells it.
        reason: String,
    },
    /// It refused, or speaks another protocol.
    #[error("{socket}: {call}: {code:?}: {reason}")]
    Refused {
        /// The socket.
        socket: String,
        /// What was asked.
        call: &'static str,
        /// The code of gRPC.
        code: Code,
        /// As it tells it.
        reason: String,
    },
}

impl CriError {
    /// Whether the runtime itself is gone or silent, and not only this question unanswered.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Deadline { .. })
    }
}
