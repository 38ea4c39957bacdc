//! How streams of odd agents end.

/// Why a stream is over.
#[derive(Debug)]
pub(super) enum Ended {
    /// It may be tried again.
    Stream(anyhow::Error),
    /// The collector did what it must not.
    Wrong(anyhow::Error),
}

impl Ended {
    /// For this reason.
    pub(super) fn stream(what: String) -> Self {
        Self::Stream(anyhow::Error::msg(what))
    }
}

impl From<anyhow::Error> for Ended {
    fn from(error: anyhow::Error) -> Self {
        Self::Stream(error)
    }
}
