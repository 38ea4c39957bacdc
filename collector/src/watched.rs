//! A file that people change while the collector runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::io::AsyncReadExt as _;

/// How often it is looked at whether the file is another one: whoever changes it has other things to do
/// for so long.
pub(crate) const LOOK: Duration = Duration::from_secs(2);

/// The file, as it was read last.
#[derive(Debug)]
pub(crate) struct Watched {
    path: PathBuf,
    max_bytes: u64,
    /// When it was changed, and how long it was; `None` if it was not there.
    stamp: Option<(SystemTime, u64)>,
    /// What was read then was of no use.
    was_bad: bool,
}

/// What is in a file.
#[derive(Debug)]
pub(crate) struct Read {
    /// All of it.
    pub(crate) text: std::io::Result<String>,
    /// Whether the file is another one than the one before; else it is only tried again.
    pub(crate) is_other: bool,
}

impl Watched {
    /// Of a file of at most so many bytes. Nothing is read yet.
    pub(crate) fn new(path: PathBuf, max_bytes: u64) -> Self {
        Self {
            path,
            max_bytes,
            stamp: None,
            was_bad: false,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file now.
    pub(crate) async fn read(&mut self) -> std::io::Result<String> {
        self.stamp = self.look().await.ok();
        self.text().await
    }

    /// What is in there now was of use, or was not: then it is tried again.
    pub(crate) fn was_good(&mut self, good: bool) {
        self.was_bad = !good;
    }

    /// Waits until there is something to read.
    pub(crate) async fn next(&mut self) -> Read {
        loop {
            tokio::time::sleep(LOOK).await;
            let stamp = self.look().await.ok();
            let is_other = stamp != self.stamp;
            if !is_other && !self.was_bad {
                continue;
            }
            self.stamp = stamp;
            let text = self.text().await;
            return Read { text, is_other };
        }
    }

    async fn look(&self) -> std::io::Result<(SystemTime, u64)> {
        let metadata = tokio::fs::metadata(&self.path).await?;
        Ok((metadata.modified()?, metadata.len()))
    }

    async fn text(&self) -> std::io::Result<String> {
        let file = tokio::fs::File::open(&self.path).await?;
        let mut text = String::new();
        let mut file = file.take(self.max_bytes + 1);
        file.read_to_string(&mut text).await?;
        if u64::try_from(text.len()).is_ok_and(|length| length > self.max_bytes) {
            let what = format!("it has more than {} bytes", self.max_bytes);
            return Err(std::io::Error::other(what));
        }
        Ok(text)
    }
}
