//! How far a scan is, for whoever waits at a terminal.

use std::path::Path;
use std::time::Duration;

use archtrace_facts::text::escape;
use archtrace_images::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::show::human::{bytes, count};

/// Often enough to look alive.
pub(super) const EVERY: Duration = Duration::from_millis(100);

/// A bar where the end is known, and a line with what was done so far elsewhere. It is drawn on
/// stderr, on a terminal only, and gone when dropped.
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(super) fn new(path: &Path) -> Self {
        // Of an archive, at most all is read.
        let size = path.metadata().ok().filter(std::fs::Metadata::is_file);
        let bar = match size.map(|metadata| metadata.len()) {
            Some(size) => ProgressBar::new(size).with_style(style("{prefix} [{bar:30}] {msg}")),
            None => ProgressBar::new_spinner().with_style(style("{prefix} {spinner} {msg}")),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        bar.set_prefix(escape(path.as_os_str().as_encoded_bytes()));
        Self { bar }
    }

    pub(super) fn show(&self, progress: &Progress) {
        let (read, files) = (progress.bytes(), progress.files());
        let message = match (read, files) {
            (0, files) => format!("{} files", count(files)),
            (read, _) => bytes(read),
        };
        if self.bar.length().is_some() {
            self.bar.set_position(read);
        }
        self.bar.set_message(message);
        self.bar.tick();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates above are right.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
