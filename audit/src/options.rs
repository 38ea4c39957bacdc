//! What is asked of an audit.

use std::time::Duration;

use archtrace_facts::arch::Arch;
use archtrace_facts::audit::Room;

/// What is asked of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The architecture that files should be for.
    pub expected: Arch,
    /// How many threads look, at least one.
    pub threads: usize,
    /// Where it ends at the latest.
    pub limits: Limits,
    /// How fast it may be.
    pub pace: Option<Pace>,
    /// Whether others may change the tree meanwhile.
    pub tree: Tree,
    /// How the image is started.
    pub launch: Launch,
}

/// Whether others may change a tree while it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// Whoever asks for the audit owns it.
    Still,
    /// Processes that are not trusted live in it. Between looking at a name and opening it, one could
    /// put a device there, and opening some devices does something: a watchdog starts. So each file is
    /// looked at once more before it is opened, which takes about twice as long.
    Live,
}

/// How an image is started: of its configuration and its container's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// Entry point and command, one behind the other.
    pub argv: Vec<Vec<u8>>,
    /// `PATH` in its environment.
    pub path: Option<Vec<u8>>,
    /// `LD_LIBRARY_PATH` in its environment.
    pub library_path: Option<Vec<u8>>,
    /// The working directory.
    pub dir: Option<Vec<u8>>,
}

/// Where an audit ends at the latest. What is beyond is counted as skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries of directories.
    pub entries: u64,
    /// Directories in directories.
    pub depth: usize,
    /// Bytes that are read or inflated, all files together.
    pub bytes: u64,
    /// How long it may take.
    pub time: Option<Duration>,
    /// Bytes of paths of directories that wait for their turn.
    pub pending: usize,
    /// How much of what is found is remembered.
    pub room: Room,
    /// Of archives.
    pub archive: ArchiveLimits,
}

/// How much of an archive is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Bytes of its central directory.
    pub directory: u64,
    /// Libraries that are looked at, in it and in those within.
    pub libraries: usize,
    /// Archives in archives.
    pub depth: usize,
    /// A compressed archive in an archive is held in memory up to this length,
    pub memory: u64,
    /// and in a temporary file up to this one.
    pub spool: u64,
    /// Bytes that are inflated of one archive, all within it together.
    pub inflated: u64,
}

/// How fast an audit may be. It rests in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Files that are looked at within a second.
    pub files: u32,
    /// Bytes that are read or inflated within a second.
    pub bytes: u32,
}

impl Options {
    /// For a person or a job of CI that waits for the answer.
    #[must_use]
    pub fn scan(expected: Arch, threads: usize) -> Self {
        Self {
            expected,
            threads,
            limits: Limits {
                // A full Debian archive mirror, unpacked, has fewer.
                entries: 20_000_000,
                // No path is longer than PATH_MAX (4096), each step of which takes two bytes; real
                // trees (node_modules in node_modules) are below 50.
                depth: 256,
                // Only headers and central directories are read: of ten million jars, that many.
                bytes: 64 << 30,
                time: None,
                // 100,000 directories with usual names, which must be siblings: it goes depth first.
                pending: 8 << 20,
                room: Room {
                    foreign: 10_000,
                    bytes: 4 << 20,
                },
                archive: ArchiveLimits {
                    // 250,000 entries with names as Java has them.
                    directory: 32 << 20,
                    libraries: 4096,
                    depth: 1,
                    // Several threads may hold one each; with eight it is half of the 64 MiB that a
                    // scan may take.
                    memory: 4 << 20,
                    // The largest jars with libraries (of machine learning) are below.
                    spool: 2 << 30,
                    // Half a minute: as long as a bomb may take.
                    inflated: 4 << 30,
                },
            },
            pace: None,
            tree: Tree::Still,
            launch: Launch::default(),
        }
    }

    /// For a guest on a node that has better things to do: one thread, below 1.5 MiB, at a pace that
    /// takes about two per cent of a CPU.
    #[must_use]
    pub fn guest(expected: Arch) -> Self {
        Self {
            expected,
            threads: 1,
            limits: Limits {
                // Large images have 300,000.
                entries: 1_000_000,
                depth: 128,
                bytes: 1 << 30,
                time: Some(Duration::from_secs(3600)),
                pending: 256 << 10,
                room: Room {
                    // What is sent to the collector: 25 KB with usual names.
                    foreign: 256,
                    bytes: 256 << 10,
                },
                archive: ArchiveLimits {
                    directory: 8 << 20,
                    libraries: 512,
                    depth: 1,
                    memory: 512 << 10,
                    // Its root file system is read-only.
                    spool: 0,
                    // Less than a second.
                    inflated: 64 << 20,
                },
            },
            pace: Some(Pace {
                files: 2000,
                bytes: 4 << 20,
            }),
            tree: Tree::Live,
            launch: Launch::default(),
        }
    }
}
