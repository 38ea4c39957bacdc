//! Why there is no audit.

use std::io;
use std::path::PathBuf;

/// Why there is no audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// What should be looked at cannot be opened.
    #[error("cannot open {}: {source}; is the path right, and may you read it?", path.display())]
    Open {
        /// What was to be opened.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// What should be looked at cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// A single file was asked for, and there is something else.
    #[error("{} is neither a directory nor a regular file: name one of these", path.display())]
    NotRegular {
        /// What is there.
        path: PathBuf,
    },
    /// Not even the root of the tree can be listed.
    #[error(
        "cannot list the root of the tree: {0}; where it says ENOSYS or EPERM, a seccomp filter forbids openat2"
    )]
    Root(io::Error),
    /// Somebody cancelled it.
    #[error("the audit was cancelled")]
    Cancelled,
}
