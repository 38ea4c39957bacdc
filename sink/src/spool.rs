//! Events on disk, until the collector has them.
//!
//! Every record is appended to a file (a *segment*) when it gets its sequence: into the page cache, so
//! that it survives the end of the agent at any moment, without waiting for the disk. Segments that are
//! full are brought to the disk by a thread. A loss of power costs what was written since, some 256 KiB
//! of events at most; the collector tells that time as `agent_down`.
//!
//! Reading happens at start (everything, to find out what is there) and when the turn of a record comes
//! that is not in memory any more (one segment at a time). Both may wait for the disk.
//!
//! What belongs to another node or collector is removed and told as lost: nobody will ever ask for it.

mod dir;
mod disk;
mod scan;
pub mod segment;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use archtrace_facts::report::{Record, ReportedLoss};
use archtrace_facts::text::escape;

use dir::Dir;
use disk::Disk;
pub(crate) use disk::Segment;
pub(crate) use scan::Found;
use segment::Frame;
pub use segment::Owner;

/// Bytes of a segment: what is read at once, and what is evicted at once.
const SEGMENT: u64 = 256 * 1024;
/// The bound of all is at least this many segments, so that evicting one costs a part only.
const LEAST_SEGMENTS: u64 = 8;
/// The smallest segment.
const LEAST_SEGMENT: u64 = 4 * 1024;
/// After a failure, the disk is tried again after this, and twice as long each time up to the other.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// Where and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The state directory; the spool is a directory in it.
    pub state_dir: PathBuf,
    /// Bytes at most.
    pub max_bytes: u64,
    /// What is older is evicted.
    pub max_age: Duration,
    /// Whose records these are.
    pub owner: Owner,
}

/// Segments on disk.
#[derive(Debug)]
pub(crate) struct Spool {
    config: Config,
    /// `None` if it could not be opened yet.
    disk: Option<Disk>,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    why: String,
    retry: Instant,
    wait: Duration,
}

/// Whether events could be kept in this state directory. Nothing is made there.
///
/// # Errors
/// A sentence that says why not, and what that costs.
pub fn check(state_dir: &Path) -> Result<(), String> {
    match dir::check(state_dir) {
        Err(error) if error.kind() != io::ErrorKind::ResourceBusy => {
            Err(missing(state_dir, &error.to_string()))
        }
        // Another agent keeps its events there.
        _ => Ok(()),
    }
}

/// What it costs that the disk cannot be used.
pub(crate) fn missing(state_dir: &Path, why: &str) -> String {
    escape(
        format!(
            "events are kept in memory only, because {} cannot be used ({why}): a restart of the agent loses \
             those that the collector does not have",
            state_dir.display()
        )
        .as_bytes(),
    )
}

impl Spool {
    /// A spool that is not opened yet: [`Spool::retry`] does that.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            disk: None,
            trouble: None,
        }
    }

    /// Opens it, if that was not done and its time has come. What earlier runs left is returned once.
    pub(crate) fn retry(&mut self) -> Option<Found> {
        if self.disk.is_some() || self.is_waiting() {
            return None;
        }
        let opened = Dir::open(&self.config.state_dir);
        match opened.and_then(|dir| scan::scan(&dir, &self.config.owner).map(|found| (dir, found)))
        {
            Ok((dir, (found, segments, next_number, pending_in))) => {
                self.recover();
                self.disk = Some(Disk {
                    dir,
                    segments,
                    file: None,
                    next_number,
                    pending_in,
                });
                Some(found)
            }
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    /// Whether it takes records now, as far as is known.
    pub(crate) fn takes(&self) -> bool {
        self.disk.is_some() && !self.is_waiting()
    }

    /// `disk`, or why not.
    pub(crate) fn state(&self) -> Result<(), &str> {
        match &self.trouble {
            Some(trouble) => Err(&trouble.why),
            None => Ok(()),
        }
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments().map(|segment| segment.bytes).sum()
    }

    /// All segments, oldest first.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.disk.iter().flat_map(|disk| &disk.segments)
    }

    /// Appends the record of `stream_id` that has this sequence, which follows the last one of this run
    /// or begins a segment. Whether that went well.
    pub(crate) fn append(&mut self, stream_id: u64, sequence: u64, frame: &Frame) -> bool {
        self.write(stream_id, sequence, frame, 1)
    }

    /// Notes what is no record. `next` is the sequence that the next record will have.
    pub(crate) fn note(&mut self, stream_id: u64, next: u64, frame: &Frame) -> bool {
        self.write(stream_id, next, frame, 0)
    }

    fn write(&mut self, stream_id: u64, sequence: u64, frame: &Frame, records: u64) -> bool {
        if !self.takes() {
            return false;
        }
        let size = self.segment_size();
        let max_age = self.config.max_age;
        let owner = &self.config.owner;
        let Some(disk) = &mut self.disk else {
            return false;
        };
        let written = disk.write(owner, (size, max_age), stream_id, sequence, frame, records);
        match written {
            Ok(()) => self.recover(),
            Err(error) => self.fail(&error),
        }
        self.trouble.is_none()
    }

    /// Records of the stream from this sequence on, to the end of their segment. If they are not there, the
    /// first sequence behind what is missing.
    pub(crate) fn read(&self, stream_id: u64, from: u64) -> Result<Vec<Record>, Option<u64>> {
        let behind = |segment: &&Segment| segment.stream_id == stream_id && segment.end > from;
        let Some((disk, segment)) = self
            .disk
            .as_ref()
            .and_then(|disk| Some((disk, disk.segments.iter().find(behind)?)))
        else {
            return Err(None);
        };
        if segment.first > from {
            return Err(Some(segment.first));
        }
        let records = disk.read(segment);
        let skipped = usize::try_from(from - segment.first).unwrap_or(usize::MAX);
        let rest: Vec<_> = records.into_iter().skip(skipped).collect();
        if rest.is_empty() {
            return Err(Some(segment.end));
        }
        Ok(rest)
    }

    /// Whether the oldest segments are to go: there is more than may be, or it is older.
    pub(crate) fn is_over(&self, segment: &Segment) -> bool {
        self.bytes() > self.max_bytes() || segment.age() > self.config.max_age
    }

    /// Whether it is the one that is written to.
    pub(crate) fn is_current(&self, segment: &Segment) -> bool {
        self.disk.as_ref().is_some_and(|disk| {
            disk.file.is_some()
                && disk.segments.back().map(|last| last.number) == Some(segment.number)
        })
    }

    /// Forgets a segment, but leaves its file. Its records, as far as they can be read.
    pub(crate) fn forget(&mut self, segment: &Segment) -> Vec<Record> {
        let Some(disk) = &mut self.disk else {
            return Vec::new();
        };
        let known = |other: &Segment| other.number != segment.number;
        disk.segments.retain(known);
        disk.read(segment)
    }

    /// Removes the file of a segment that was forgotten, once what was written before is on the disk.
    pub(crate) fn remove(&mut self, segment: &Segment) {
        if let Some(disk) = &mut self.disk {
            let numbers = vec![segment.number];
            disk.dir.sync_then_remove(disk.file.as_ref(), numbers);
        }
    }

    /// Removes the oldest segments as long as nothing of them is needed. `pending` are the losses without
    /// a sequence, which stay noted.
    pub(crate) fn release(
        &mut self,
        (stream_id, next): (u64, u64),
        pending: &[ReportedLoss],
        needed: impl Fn(&Segment) -> bool,
    ) {
        loop {
            let Some(disk) = &self.disk else { return };
            let Some(oldest) = disk.segments.front() else {
                return;
            };
            if needed(oldest) {
                return;
            }
            let (number, holds) = (oldest.number, disk.pending_in == Some(oldest.number));
            let current = self.is_current(oldest);
            if holds && !pending.is_empty() {
                let noted = Frame::Pending(pending.to_vec());
                if current || !self.note(stream_id, next, &noted) {
                    return;
                }
            }
            let Some(disk) = &mut self.disk else { return };
            if current {
                disk.clear_current();
                return;
            }
            disk.segments.pop_front();
            disk.dir.remove(number);
        }
    }

    /// Tries the disk again with whatever comes next.
    #[cfg(test)]
    pub(crate) fn retry_now(&mut self) {
        if let Some(trouble) = &mut self.trouble {
            trouble.retry = Instant::now();
        }
    }

    fn is_waiting(&self) -> bool {
        let trouble = self.trouble.as_ref();
        trouble.is_some_and(|trouble| trouble.retry > Instant::now())
    }

    fn recover(&mut self) {
        if self.trouble.take().is_some() {
            let dir = self.config.state_dir.display();
            tracing::info!(%dir, "events are kept on disk again");
        }
    }

    fn fail(&mut self, error: &io::Error) {
        let wait = match &self.trouble {
            Some(trouble) => (trouble.wait * 2).min(RETRY.1),
            None => RETRY.0,
        };
        let why = escape(error.to_string().as_bytes());
        let known = self.trouble.as_ref().map(|trouble| &trouble.why);
        if known != Some(&why) {
            let dir = self.config.state_dir.display();
            tracing::warn!(%dir, why, "events are kept in memory only; trying again");
        }
        self.trouble = Some(Trouble {
            why,
            retry: Instant::now() + wait,
            wait,
        });
    }

    fn max_bytes(&self) -> u64 {
        self.config.max_bytes.max(LEAST_SEGMENTS * LEAST_SEGMENT)
    }

    fn segment_size(&self) -> u64 {
        (self.max_bytes() / LEAST_SEGMENTS).min(SEGMENT)
    }

    /// The state directory.
    pub(crate) fn path(&self) -> &Path {
        &self.config.state_dir
    }
}
