//! Waiting for descriptors that tokio has no type for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for `source` to have something to read. The descriptor is duplicated, so that whoever
/// owns `source` goes on reading it.
#[expect(
    deprecated,
    reason = "the replacement is unsafe, for types whose descriptor may change; an OwnedFd's does not"
)]
pub(crate) fn watch(source: &impl AsFd) -> io::Result<AsyncFd<OwnedFd>> {
    let duplicate = source.as_fd().try_clone_to_owned()?;
    AsyncFd::with_interest(duplicate, Interest::READABLE)
}
