//! `archtrace events --follow`.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use archtrace_facts::fleet::{Coverage, EventUpdate, NodeEvent};
use archtrace_facts::select::Selection;

use super::batch::batch;
use super::resume::Resume;
use super::stop::Stop;
use super::{print, warn};
use crate::args::{Connection, EventsArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::show::EventLines;

/// After a break the stream begins that much before the newest event that was shown: those of other
/// nodes may have come in later although they happened earlier.
const OVERLAP: Duration = Duration::from_secs(600);

/// Events of that time that are remembered, so that none is shown twice; some 100 bytes each. With more
/// of them the overlap is shorter.
const REMEMBERED: usize = 20_000;

/// Follows until somebody has seen enough.
pub(super) async fn events(
    connection: &Connection,
    output: Output,
    args: &EventsArgs,
) -> Result<(), Failure> {
    let EventsArgs {
        conditions,
        kinds,
        since,
        limit: _,
        follow: _,
    } = args;
    let started = SystemTime::now();
    // All: from the first one on.
    let since = since.map(|since| since.at(started).unwrap_or(SystemTime::UNIX_EPOCH));
    let selection = conditions.selection(|_| {});
    let mut stop = Stop::new()?;
    let mut follower = Follower {
        lines: EventLines::new(output),
        shown: Shown::default(),
        resume: Resume::new(),
    };
    let follow = async {
        loop {
            // The first time from now on by the other side's clock, which knows best.
            let since = if follower.resume.begun() {
                Some(follower.shown.resume_at(since.unwrap_or(started)))
            } else {
                since
            };
            let ended = follower.stream(connection, &selection, kinds, since).await;
            follower.resume.after(ended).await?;
        }
    };
    tokio::select! {
        () = stop.wanted() => Ok(()),
        ended = follow => ended,
    }
}

struct Follower {
    lines: EventLines,
    shown: Shown,
    resume: Resume,
}

impl Follower {
    /// One stream, to its end.
    async fn stream(
        &mut self,
        connection: &Connection,
        selection: &Selection,
        kinds: &[String],
        since: Option<SystemTime>,
    ) -> Result<(), Failure> {
        let client = Client::connect(connection).await?;
        let mut updates = client.follow_events(selection, kinds, since).await?;
        self.resume.works();
        loop {
            let mut came = Vec::new();
            let ended = batch(&mut updates, &mut came).await;
            self.print(came)?;
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    fn print(&mut self, updates: Vec<EventUpdate>) -> Result<(), Failure> {
        let mut text = String::new();
        let mut events = Vec::new();
        for update in updates {
            match update {
                EventUpdate::Event(event) => {
                    if self.shown.is_new(&event) {
                        events.push(*event);
                    }
                }
                EventUpdate::Coverage(coverage) => {
                    text.push_str(&self.lines.events(&std::mem::take(&mut events)));
                    match self.lines.coverage(&coverage) {
                        Some(line) => text.push_str(&line),
                        None if self.shown.covers(&coverage) => {}
                        None => warn(&coverage),
                    }
                }
                EventUpdate::Skipped(count) => {
                    text.push_str(&self.lines.events(&std::mem::take(&mut events)));
                    if let Some(line) = self.lines.skipped(count) {
                        text.push_str(&line);
                    }
                    eprintln!(
                        "warning: {count} event(s) were not told, because they were not read in \
                         time; 'archtrace events' has them"
                    );
                }
            }
        }
        text.push_str(&self.lines.events(&events));
        print(&text)
    }
}

/// What was shown lately.
#[derive(Debug, Default)]
struct Shown {
    /// When it happened, and what it is.
    recent: BTreeSet<(SystemTime, Name)>,
    /// Whether some of that time was forgotten because it was too much.
    is_cut: bool,
    coverage: Option<Coverage>,
}

/// Cluster, node, stream and sequence.
type Name = (String, String, u64, u64);

impl Shown {
    /// Notes it, and says whether it was not shown before.
    fn is_new(&mut self, event: &NodeEvent) -> bool {
        let NodeEvent {
            cluster,
            node,
            stream_id,
            sequence,
            record,
            ..
        } = event;
        let name = (cluster.clone(), node.clone(), *stream_id, *sequence);
        if !self.recent.insert((record.time(), name)) {
            return false;
        }
        let newest = self.recent.last().map(|(time, _)| *time);
        let from = newest.and_then(|newest| newest.checked_sub(OVERLAP));
        while let Some((oldest, _)) = self.recent.first() {
            let is_many = self.recent.len() > REMEMBERED;
            if !is_many && from.is_none_or(|from| *oldest >= from) {
                break;
            }
            self.is_cut |= is_many;
            self.recent.pop_first();
        }
        true
    }

    /// From when on the next stream should tell, where the first one told from `begin` on. A node's
    /// clock may be behind: what was shown of it may be older than that.
    fn resume_at(&self, begin: SystemTime) -> SystemTime {
        let (Some((oldest, _)), Some((newest, _))) = (self.recent.first(), self.recent.last())
        else {
            return begin;
        };
        if self.is_cut {
            return *oldest;
        }
        let overlapping = newest.checked_sub(OVERLAP);
        overlapping
            .unwrap_or(SystemTime::UNIX_EPOCH)
            .max(begin.min(*oldest))
    }

    /// Whether this coverage was told already.
    fn covers(&mut self, coverage: &Coverage) -> bool {
        let same = self.coverage.as_ref() == Some(coverage);
        self.coverage = Some(coverage.clone());
        same
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archtrace_facts::arch::Arch;
    use archtrace_facts::identity::Identity;
    use archtrace_facts::report::{Record, ReportedLoss};

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn event(sequence: u64, seconds: u64) -> NodeEvent {
        NodeEvent {
            cluster: String::new(),
            node: "n".to_owned(),
            node_arch: Arch::Amd64,
            stream_id: 1,
            sequence,
            record: Record::Loss(ReportedLoss {
                stage: "spool".to_owned(),
                count: 1,
                since: at(seconds),
                until: at(seconds),
                range: None,
            }),
            identity: Identity::default(),
        }
    }

    #[test]
    fn a_stream_goes_on_a_little_before_where_it_broke() {
        let begin = at(10_000);
        // Times of the events that were shown, and from when on it goes on.
        for (shown, resume) in [
            (&[][..], 10_000),
            (&[10_100], 10_000),
            (&[10_100, 20_000], 19_400),
            // A clock that is behind.
            (&[9_900, 10_100], 9_900),
            // Something that waited for an hour on its node.
            (&[20_000, 6_400], 19_400),
        ] {
            let mut lately = Shown::default();
            for (sequence, seconds) in (0..).zip(shown) {
                assert!(lately.is_new(&event(sequence, *seconds)));
            }
            assert_eq!(lately.resume_at(begin), at(resume), "{shown:?}");
        }
    }

    #[test]
    fn nothing_is_shown_twice_and_no_more_remembered_than_there_is_room_for() {
        let mut lately = Shown::default();
        for sequence in 0..REMEMBERED as u64 + 5 {
            assert!(lately.is_new(&event(sequence, 100)));
            assert!(!lately.is_new(&event(sequence, 100)));
        }
        assert_eq!(lately.recent.len(), REMEMBERED);
        assert_eq!(lately.resume_at(at(0)), at(100));
    }
}
