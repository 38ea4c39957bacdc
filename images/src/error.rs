//! Why something could not be scanned.

use std::io;

use archtrace_audit::AuditError;
use archtrace_facts::tar;

/// What ended a scan. `path` is the file, and within an image the blob, that it is about.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The system refused.
    #[error("cannot read {path}: {source}")]
    Io {
        /// What was read.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// There is less of it than there should be.
    #[error("{path} ends too early: it was cut off; copy or save it again")]
    Truncated {
        /// What was read.
        path: String,
    },
    /// The content is not what a digest says.
    #[error(
        "{path} does not have the digest that it is named by, but {found}: it was damaged or \
         replaced; save the image again"
    )]
    Digest {
        /// The blob.
        path: String,
        /// What its content has.
        found: String,
    },
    /// A blob is named that is not there.
    #[error("{path} is not there, although {by} names it; save the whole image")]
    NoBlob {
        /// The blob.
        path: String,
        /// What names it.
        by: String,
    },
    /// A tar archive that makes no sense.
    #[error("{path} is no whole tar archive, compressed with gzip or zstd or not at all: {fault}")]
    Tar {
        /// The archive.
        path: String,
        /// What is wrong.
        fault: tar::Fault,
    },
    /// A compressed file that makes no sense.
    #[error("{path} cannot be unpacked: {reason}")]
    Packed {
        /// The file.
        path: String,
        /// What the decoder says.
        reason: String,
    },
    /// A description of an image that makes no sense.
    #[error("{path} is no description of an image: {reason}")]
    Description {
        /// The blob.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Something is larger than anything real.
    #[error("{path} has {what}, which no image needs; it is not read further")]
    Absurd {
        /// The file.
        path: String,
        /// What there is too much of.
        what: &'static str,
    },
    /// A file that nothing can be said about.
    #[error("{path} is no ELF file, jar, wheel, image or tar archive; name one, or a directory")]
    Kind {
        /// The file.
        path: String,
    },
    /// A directory or file that could not be audited.
    #[error(transparent)]
    Audit(AuditError),
    /// Somebody wanted it to end.
    #[error("interrupted")]
    Cancelled,
}

impl ScanError {
    /// What an error of reading `path` means.
    pub(crate) fn io(path: &str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated { path },
            // What decoders say of bytes that are none of theirs.
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Self::Packed {
                path,
                reason: source.to_string(),
            },
            _ => Self::Io { path, source },
        }
    }
}

impl From<AuditError> for ScanError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Cancelled => Self::Cancelled,
            error => Self::Audit(error),
        }
    }
}
