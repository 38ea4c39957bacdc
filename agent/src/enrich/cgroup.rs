//! From a cgroup's id to its path.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use archtrace_facts::mounts;
use archtrace_facts::text::escape;

/// A look at the whole hierarchy costs a stat per cgroup; hostile ids must not cause many.
const WALK_INTERVAL: Duration = Duration::from_millis(100);

/// Inode of the hierarchy's root (`kernfs_create_root`, fs/kernfs/dir.c).
const ROOT_INODE: u64 = 1;

/// Known cgroups. A node has some thousand at most; beyond this the cache starts anew.
const MAX_KNOWN: usize = 16_384;

/// Cgroups that were made lately: a minute of a node that starts some containers a second, each with a
/// few cgroups.
const MAX_MADE: usize = 512;

/// The cgroup v2 hierarchy of the node.
pub(crate) struct Cgroups {
    proc: PathBuf,
    /// Where it is mounted; `None` on a node that has only v1.
    root: Option<PathBuf>,
    known: HashMap<u64, String>,
    /// Those that were made while the agent watched, in that order: they may be gone by the time that
    /// somebody asks, and are kept for a while.
    made: VecDeque<(u64, String)>,
    walked: Option<Instant>,
}

impl Cgroups {
    /// Finds the hierarchy; `proc` is where procfs is mounted.
    pub(crate) fn new(proc: &Path) -> Self {
        let root = fs::read(proc.join("self/mountinfo"))
            .ok()
            .and_then(|mounts| mount_point(&mounts));
        Self {
            proc: proc.to_owned(),
            root,
            known: HashMap::new(),
            made: VecDeque::new(),
            walked: None,
        }
    }

    /// Whether there is a hierarchy to look into.
    pub(crate) fn is_visible(&self) -> bool {
        self.root.is_some()
    }

    /// A cgroup was made; `path` is its path in the hierarchy.
    pub(crate) fn learn(&mut self, id: u64, path: &[u8]) {
        if self.made.len() >= MAX_MADE {
            self.made.pop_front();
        }
        self.made.push_back((id, readable(path)));
    }

    /// The path of the cgroup `id` (inode of its directory), in which process `pid` was seen.
    /// `None` if it is gone and was never looked at before.
    pub(crate) fn path(&mut self, id: u64, pid: u32) -> Option<String> {
        if let Some(path) = self.known.get(&id) {
            return Some(path.clone());
        }
        if let Some((_, path)) = self.made.iter().rev().find(|(made, _)| *made == id) {
            return Some(path.clone());
        }
        let root = self.root.clone()?;
        if let Some(path) = self.of_process(pid)
            && inode(&root, &path) == Some(id)
        {
            self.remember(id, &path);
        } else if self
            .walked
            .is_none_or(|walked| walked.elapsed() >= WALK_INTERVAL)
        {
            self.walk();
        }
        self.known.get(&id).cloned()
    }

    /// Whether the cgroup at `path`, as [`Cgroups::path`] told it, is still there.
    pub(crate) fn exists(&self, path: &str) -> bool {
        self.procs_at(path).is_some_and(|procs| procs.exists())
    }

    /// The file that lists the processes of the cgroup `id`, in which process `pid` was seen.
    pub(crate) fn procs_file(&mut self, id: u64, pid: u32) -> Option<PathBuf> {
        let path = self.path(id, pid)?;
        self.procs_at(&path)
    }

    fn procs_at(&self, path: &str) -> Option<PathBuf> {
        // An unknown cgroup is not the root of all.
        if path.is_empty() {
            return None;
        }
        let directory = self.root.as_deref()?.join(path.trim_start_matches('/'));
        Some(directory.join("cgroup.procs"))
    }

    /// Id and path of the cgroup that a process is in now.
    pub(crate) fn of(&mut self, pid: u32) -> Option<(u64, String)> {
        let path = self.of_process(pid)?;
        let id = inode(self.root.as_deref()?, &path)?;
        self.remember(id, &path);
        Some((id, self.known.get(&id)?.clone()))
    }

    /// Looks at the whole hierarchy and forgets what is gone. The ids that exist; `None` where
    /// that is not all of them, because a cgroup namespace hides the rest, or they are too many.
    pub(crate) fn walk(&mut self) -> Option<&HashMap<u64, String>> {
        self.walked = Some(Instant::now());
        let root = self.root.clone()?;
        self.known.clear();
        let mut open = vec![PathBuf::new()];
        while let Some(path) = open.pop() {
            let Some(id) = inode(&root, path.as_os_str().as_bytes()) else {
                continue;
            };
            if self.known.len() + 1 >= MAX_KNOWN {
                return None;
            }
            self.remember(id, path.as_os_str().as_bytes());
            let Ok(entries) = fs::read_dir(root.join(&path)) else {
                continue;
            };
            let children = entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            open.extend(children.map(|entry| path.join(entry.file_name())));
        }
        (inode(&root, b"") == Some(ROOT_INODE)).then_some(&self.known)
    }

    fn remember(&mut self, id: u64, path: &[u8]) {
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(id, readable(path));
    }

    /// The v2 line of `/proc/<pid>/cgroup` (cgroups(7)): `0::/path`.
    fn of_process(&self, pid: u32) -> Option<Vec<u8>> {
        let content = fs::read(self.proc.join(pid.to_string()).join("cgroup")).ok()?;
        content
            .split(|byte| *byte == b'\n')
            .find_map(|line| line.strip_prefix(b"0::"))
            .map(<[u8]>::to_vec)
    }
}

fn readable(path: &[u8]) -> String {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    format!("/{}", escape(path))
}

fn inode(root: &Path, path: &[u8]) -> Option<u64> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = root.join(std::ffi::OsStr::from_bytes(path));
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}

/// Where cgroup v2 is mounted.
fn mount_point(mounts: &[u8]) -> Option<PathBuf> {
    mounts::parse(mounts)
        .find(|mount| &*mount.fs_type == b"cgroup2")
        .map(|mount| PathBuf::from(std::ffi::OsStr::from_bytes(&mount.point)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_v2_hierarchy_is_found_beside_v1() {
        for (mounts, expected) in [
            (
                "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
                Some("/sys/fs/cgroup"),
            ),
            (
                "30 1 0:26 / /sys/fs/cgroup/cpu rw,nosuid shared:9 - cgroup cgroup rw,cpu\n\
                 31 1 0:27 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw\n",
                Some("/sys/fs/cgroup/unified"),
            ),
            (
                "30 1 0:26 / / rw - ext4 /dev/sda rw\n\ngarbage\n - \n",
                None,
            ),
        ] {
            assert_eq!(
                mount_point(mounts.as_bytes()),
                expected.map(PathBuf::from),
                "{mounts}"
            );
        }
    }

    #[test]
    fn ids_are_found_by_process_and_by_walk() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (root, proc) = (dir.path().join("cgroup"), dir.path().join("proc"));
        fs::create_dir_all(root.join("system.slice/cron\n.service")).expect("made");
        fs::create_dir_all(proc.join("self")).expect("made");
        fs::create_dir_all(proc.join("7")).expect("made");
        let mountinfo = format!("1 1 0:1 / {} rw - cgroup2 none rw\n", root.display());
        fs::write(proc.join("self/mountinfo"), mountinfo).expect("written");
        fs::write(
            proc.join("7/cgroup"),
            "1:name=systemd:/\n0::/system.slice\n",
        )
        .expect("written");
        let mut cgroups = Cgroups::new(&proc);
        let id = |path: &str| fs::metadata(root.join(path)).expect("made").ino();
        assert_eq!(
            cgroups.of(7),
            Some((id("system.slice"), "/system.slice".to_owned()))
        );
        assert_eq!(
            cgroups.path(id("system.slice"), 8).as_deref(),
            Some("/system.slice")
        );
        assert_eq!(cgroups.path(id(""), 8).as_deref(), Some("/"));
        let odd = id("system.slice/cron\n.service");
        assert_eq!(
            cgroups.path(odd, 8).as_deref(),
            Some(r"/system.slice/cron\x0a.service")
        );
        assert_eq!(cgroups.path(u64::MAX, 8), None);
        cgroups.learn(u64::MAX, b"/gone");
        assert_eq!(cgroups.path(u64::MAX, 8).as_deref(), Some("/gone"));
    }
}
