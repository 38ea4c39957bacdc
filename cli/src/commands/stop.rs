//! When to end what goes on until somebody has seen enough.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;

use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, SIGTERM, or a reader of the output that went away.
#[derive(Debug)]
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// Only if it is a pipe: then somebody may close the other end.
    output: Option<Sender>,
}

impl Stop {
    pub(super) fn new() -> Result<Self, io::Error> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            output: pipe(),
        })
    }

    /// Returns when it is time. To be dropped and asked again as often as one likes.
    pub(super) async fn wanted(&mut self) {
        let Self {
            interrupt,
            terminate,
            output,
        } = self;
        let closed = async {
            match output {
                // epoll(7) tells of an error when the other end of a pipe was closed.
                Some(output) => drop(output.ready(Interest::ERROR).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = closed => {}
        }
    }
}

/// The output as a pipe, if it is one. It goes on to block whoever writes: that belongs to all who share it.
fn pipe() -> Option<Sender> {
    let output = File::from(io::stdout().as_fd().try_clone_to_owned().ok()?);
    let is_pipe = output.metadata().ok()?.file_type().is_fifo();
    let output = is_pipe.then(|| OwnedFd::from(output))?;
    Sender::from_owned_fd_unchecked(output).ok()
}
