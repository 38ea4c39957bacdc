//! Going on after a stream broke.

use std::time::Duration;

use crate::failure::Failure;

const FIRST_WAIT: Duration = Duration::from_millis(250);

/// So long a collector that comes back may go unnoticed.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long to wait until it is tried again, and whether people know that it is.
#[derive(Debug)]
pub(super) struct Resume {
    wait: Duration,
    /// Something was told on some stream: the question is right, and its asker may ask it.
    begun: bool,
    told: bool,
}

impl Resume {
    pub(super) fn new() -> Self {
        Self {
            wait: FIRST_WAIT,
            begun: false,
            told: false,
        }
    }

    /// Whether a stream ever worked.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// The stream works.
    pub(super) fn works(&mut self) {
        *self = Self {
            begun: true,
            ..Self::new()
        };
    }

    /// A stream ended, in order if there is no failure. Says so, once, and waits; or fails, where trying
    /// again would not help.
    pub(super) async fn after(&mut self, ended: Result<(), Failure>) -> Result<(), Failure> {
        let why = match ended {
            Ok(()) => "the other side ended the stream".to_owned(),
            Err(failure) if self.begun && failure.is_passing() => failure.to_string(),
            Err(failure) => return Err(failure),
        };
        if !self.told {
            self.told = true;
            let why = why.lines().next().unwrap_or_default();
            eprintln!("archtrace: {why}; going on when it is there again");
        }
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Ok(())
    }
}
