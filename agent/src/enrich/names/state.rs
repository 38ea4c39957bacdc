//! How it stands with the container runtime.

use std::fmt;
use std::path::PathBuf;

use archtrace_cri::Runtime;

/// How it stands with the container runtime, as a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not looked yet.
    Starting,
    /// Not wanted.
    Off,
    /// There is none of the sockets.
    NoSocket(Vec<PathBuf>),
    /// There is a socket, but no answer.
    Silent(String),
    /// It answers.
    Up {
        /// Who.
        runtime: Runtime,
        /// Where.
        socket: PathBuf,
    },
}

impl State {
    /// Whether names come from a runtime now.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => out.write_str("not asked yet"),
            Self::Off => out.write_str("off"),
            Self::NoSocket(paths) => {
                let paths: Vec<_> = paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                write!(out, "no socket at {}", paths.join(", "))
            }
            Self::Silent(reason) => write!(out, "does not answer: {reason}"),
            Self::Up { runtime, socket } => {
                write!(
                    out,
                    "{} {} at {}",
                    runtime.name,
                    runtime.version,
                    socket.display()
                )
            }
        }
    }
}
