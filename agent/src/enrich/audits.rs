//! Audits of images: the files of one of their containers, one image at a time, on a thread that lets
//! everything else go first.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use archtrace_audit::{AuditError, Launch, Options, Progress};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::Audit;
use tokio::sync::mpsc;

use super::look::neighbours;

/// Images that wait for their turn: more than a node pulls at once.
const MAX_WAITING: usize = 256;
/// Images that are remembered to have had theirs: several times as many as a node's disk holds.
const MAX_KNOWN: usize = 4096;
/// What an audit needs of stack; a default one would be 2 MiB of address space.
const STACK: usize = 512 * 1024;

/// An image to look at.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Its id.
    pub(crate) image: String,
    /// The architecture that it claims to be for, or the node's.
    pub(crate) expected: Arch,
    /// How it is started.
    pub(crate) launch: Launch,
    /// `cgroup.procs` of one of its containers.
    pub(crate) procs: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done(Audit),
    /// The container is gone, or starts nothing; the next one will do.
    Gone,
    Failed(String),
}

/// Audits of images, each once.
pub(crate) struct Audits {
    proc: PathBuf,
    enabled: bool,
    known: HashSet<String>,
    waiting: VecDeque<Job>,
    busy: bool,
    progress: Arc<Progress>,
    sender: mpsc::Sender<(String, Outcome)>,
    outcomes: mpsc::Receiver<(String, Outcome)>,
}

impl Audits {
    /// `proc` is where procfs is mounted.
    pub(crate) fn new(proc: &Path, enabled: bool) -> Self {
        // One at a time.
        let (sender, outcomes) = mpsc::channel(1);
        Self {
            proc: proc.to_owned(),
            enabled,
            known: HashSet::new(),
            waiting: VecDeque::new(),
            busy: false,
            progress: Arc::new(Progress::default()),
            sender,
            outcomes,
        }
    }

    /// Whether an image should be asked for: nobody did yet.
    pub(crate) fn wants(&self, image: &str) -> bool {
        self.enabled && self.waiting.len() < MAX_WAITING && !self.known.contains(image)
    }

    /// Has an image looked at, if [`Audits::wants`] it.
    pub(crate) fn ask(&mut self, job: Job) {
        if !self.wants(&job.image) {
            return;
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(job.image.clone());
        self.waiting.push_back(job);
    }

    /// The next image that is done with, and what came of it. Waits for ever while there is none. May be
    /// dropped at any time without losing anything.
    pub(crate) async fn next(&mut self) -> (String, Outcome) {
        loop {
            if !self.busy
                && let Some(job) = self.waiting.pop_front()
            {
                let image = job.image.clone();
                if let Err(error) = self.start(job) {
                    return (image, Outcome::Failed(format!("no thread: {error}")));
                }
                self.busy = true;
            }
            // Never closed: a sender is kept.
            if let Some((image, outcome)) = self.outcomes.recv().await {
                self.busy = false;
                if matches!(outcome, Outcome::Gone) {
                    self.known.remove(&image);
                }
                return (image, outcome);
            }
        }
    }

    fn start(&self, job: Job) -> std::io::Result<()> {
        let (proc, progress, sender) = (
            self.proc.clone(),
            self.progress.clone(),
            self.sender.clone(),
        );
        let work = move || {
            if let Err(error) = archtrace_audit::idle_priority() {
                tracing::debug!(%error, "an audit has no lower priority");
            }
            let outcome = audit(&proc, &job, &progress);
            // Nobody waits for it any more: the agent ends.
            let _ = sender.blocking_send((job.image, outcome));
        };
        let thread = thread::Builder::new()
            .name("audit".to_owned())
            .stack_size(STACK);
        thread.spawn(work).map(drop)
    }
}

impl Drop for Audits {
    fn drop(&mut self) {
        self.progress.cancel();
    }
}

fn audit(proc: &Path, job: &Job, progress: &Progress) -> Outcome {
    let Some(root) = root_of(proc, &job.procs) else {
        return Outcome::Gone;
    };
    let options = Options {
        launch: job.launch.clone(),
        ..Options::guest(job.expected)
    };
    match archtrace_audit::tree(root.as_fd(), &options, progress) {
        Ok(audit) => Outcome::Done(audit),
        Err(AuditError::Cancelled) => Outcome::Gone,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// The root directory of a process in the cgroup whose processes `procs` lists.
///
/// Not one that its parent has too: before it is given its own, a container's first process has that of
/// the runtime, which is the node's.
fn root_of(proc: &Path, procs: &Path) -> Option<File> {
    let listed = || neighbours(Some(procs)).into_iter();
    listed().find_map(|pid| {
        let process = proc.join(pid.to_string());
        let root = File::open(process.join("root")).ok()?;
        let parent = fs::metadata(proc.join(parent_of(&process)?).join("root")).ok()?;
        let own = root.metadata().ok()?;
        let is_own = (own.dev(), own.ino()) != (parent.dev(), parent.ino());
        // If it is not listed any more, it may have ended, and another may have its number.
        (is_own && listed().any(|other| other == pid)).then_some(root)
    })
}

/// The fourth field of `/proc/<pid>/stat`, two behind the name (proc_pid_stat(5)).
fn parent_of(process: &Path) -> Option<String> {
    let stat = fs::read(process.join("stat")).ok()?;
    let behind = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = String::from_utf8_lossy(stat.get(behind + 1..)?).into_owned();
    fields.split_whitespace().nth(1).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(image: &str, procs: &Path) -> Job {
        Job {
            image: image.to_owned(),
            expected: Arch::of_this_build(),
            launch: Launch::default(),
            procs: procs.to_owned(),
        }
    }

    /// A container whose process 7 has a root with an empty file; process 5 is the node's.
    fn container(dir: &Path) -> PathBuf {
        let procs = dir.join("cgroup.procs");
        fs::create_dir_all(dir.join("5/root")).expect("made");
        fs::create_dir_all(dir.join("7/root")).expect("made");
        fs::write(dir.join("7/root/file"), "").expect("written");
        fs::write(dir.join("7/stat"), "7 (a) b) S 5 7 7").expect("written");
        fs::write(&procs, "6\n7\n").expect("written");
        procs
    }

    #[tokio::test]
    async fn an_image_is_looked_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let procs = container(dir.path());
        let mut audits = Audits::new(dir.path(), true);
        audits.ask(job("a", &dir.path().join("gone")));
        let (image, outcome) = audits.next().await;
        assert!(
            image == "a" && matches!(outcome, Outcome::Gone),
            "{outcome:?}"
        );
        assert!(audits.wants("a"), "another container may have it");
        audits.ask(job("a", &procs));
        audits.ask(job("a", &procs));
        let (_, outcome) = audits.next().await;
        let Outcome::Done(audit) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((audit.files, audit.elf.len()), (1, 0));
        assert!(!audits.wants("a") && audits.waiting.is_empty());
    }

    #[tokio::test]
    async fn the_node_itself_is_no_image() {
        let dir = tempfile::tempdir().expect("a directory");
        let procs = container(dir.path());
        fs::remove_dir(dir.path().join("5/root")).expect("removed");
        std::os::unix::fs::symlink("../7/root", dir.path().join("5/root")).expect("linked");
        let mut audits = Audits::new(dir.path(), true);
        audits.ask(job("a", &procs));
        let (_, outcome) = audits.next().await;
        assert!(matches!(outcome, Outcome::Gone), "{outcome:?}");
    }
}
