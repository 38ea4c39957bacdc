//! What is told on stderr while somebody waits.

use std::time::Duration;

use archtrace_facts::gate::Report;
use tokio::time::Instant;

use crate::show::human::{count, duration};

/// How often at least, so that nobody takes it for dead.
const AT_LEAST: Duration = Duration::from_secs(30);

/// What was told last.
#[derive(Debug)]
pub(super) struct Progress {
    until: Instant,
    told: Option<(String, Instant)>,
}

impl Progress {
    pub(super) fn new(until: Instant) -> Self {
        Self { until, told: None }
    }

    /// Tells what is known so far, if that is news.
    pub(super) fn tell(&mut self, report: &Report) {
        let now = Instant::now();
        let left = self.until.saturating_duration_since(now);
        if left.is_zero() {
            return;
        }
        let line = line(report);
        let is_known = |(told, at): &(String, Instant)| *told == line && now - *at < AT_LEAST;
        if self.told.as_ref().is_some_and(is_known) {
            return;
        }
        let left = Duration::from_secs(left.as_secs());
        eprintln!("archtrace: {line}; {} left", duration(left));
        self.told = Some((line, now));
    }
}

fn line(report: &Report) -> String {
    let pods = count(report.pods);
    match &*report.doubts {
        [] => format!("{pods} pod(s) seen, all native so far"),
        [first, ..] => format!(
            "{pods} pod(s) seen, {} native; not known yet: {}",
            count(report.native_pods),
            first.what
        ),
    }
}
