//! How far a scan is, and whether it should go on.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::error::ScanError;

/// What a scan tells those who wait for it, and they it.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    walk: archtrace_audit::Progress,
}

impl Progress {
    /// Bytes of images that were read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Files of directories that were looked at so far.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.walk.files()
    }

    /// Ends the scan as soon as it looks.
    pub fn cancel(&self) {
        self.walk.cancel();
    }

    /// For a walk through directories.
    pub(crate) fn walk(&self) -> &archtrace_audit::Progress {
        &self.walk
    }

    pub(crate) fn check(&self) -> Result<(), ScanError> {
        if self.walk.is_cancelled() {
            return Err(ScanError::Cancelled);
        }
        Ok(())
    }

    /// What an error of reading `path` means; reading ends with one where somebody cancels.
    pub(crate) fn fault(&self, path: &str, error: io::Error) -> ScanError {
        self.check()
            .err()
            .unwrap_or_else(|| ScanError::io(path, error))
    }
}

/// Counts what is read, and ends when somebody cancels.
pub(crate) struct Counted<'a, R> {
    inner: R,
    progress: &'a Progress,
}

impl<'a, R> Counted<'a, R> {
    pub(crate) fn new(inner: R, progress: &'a Progress) -> Self {
        Self { inner, progress }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.walk.is_cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        let count = self.inner.read(buffer)?;
        self.progress.bytes.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}
