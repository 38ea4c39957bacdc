//! From a cgroup's id to its path.
//!
//! The kernel counts by cgroups of v2. Where v1 is mounted too, containers may be known to that only, and
//! all share one cgroup of v2; then the process itself is asked, as long as it is there.

mod namespace;

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use archtrace_facts::identity::{Identity, of_cgroup, path_of_process};
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
    /// Where hierarchies of v1 are mounted.
    v1: Vec<PathBuf>,
    /// What procfs counts paths in v2 from: `/` but in a cgroup namespace.
    base: Vec<u8>,
    known: HashMap<u64, String>,
    /// Those that were made while the agent watched, in that order: they may be gone by the time that
    /// somebody asks, and are kept for a while.
    made: VecDeque<(u64, String)>,
    walked: Option<Instant>,
}

impl Cgroups {
    /// Finds the hierarchy; `proc` is where procfs is mounted.
    pub(crate) fn new(proc: &Path) -> Self {
        let mounts = fs::read(proc.join("self/mountinfo")).unwrap_or_default();
        let root = mount_points(&mounts, b"cgroup2").next();
        let base = root.as_deref().and_then(|root| namespace::base(proc, root));
        Self {
            proc: proc.to_owned(),
            base: base.unwrap_or_default(),
            root,
            v1: mount_points(&mounts, b"cgroup").collect(),
            known: HashMap::new(),
            made: VecDeque::new(),
            walked: None,
        }
    }

    /// Whether there is a hierarchy to look into.
    pub(crate) fn is_visible(&self) -> bool {
        self.root.is_some()
    }

    /// Whether a cgroup of v2 may not say whose a process is.
    pub(crate) fn has_v1(&self) -> bool {
        !self.v1.is_empty()
    }

    /// A cgroup was made; `path` is its path in the hierarchy. Returns that in printable form.
    pub(crate) fn learn(&mut self, id: u64, path: &[u8]) -> String {
        if self.made.len() >= MAX_MADE {
            self.made.pop_front();
        }
        let path = readable(path);
        self.made.push_back((id, path.clone()));
        path
    }

    /// The path of the cgroup `id` (inode of its directory), in which process `pid` was seen.
    /// `None` if it is gone and was never looked at before.
    pub(crate) fn path(&mut self, id: u64, pid: u32) -> Option<Found> {
        let path = self.path_in_v2(id, pid);
        let told = path.as_deref().map(of_cgroup).unwrap_or_default();
        if !self.has_v1() || told != Identity::default() {
            return path.map(Found::Surely);
        }
        // Only the process knows.
        let content = fs::read(self.proc.join(pid.to_string()).join("cgroup"));
        match content.ok().and_then(|content| path_of_process(&content)) {
            Some(path) => Some(Found::Surely(path)),
            None => path.map(Found::Perhaps),
        }
    }

    fn path_in_v2(&mut self, id: u64, pid: u32) -> Option<String> {
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
        self.procs_at(path.as_str())
    }

    /// The file that lists the processes of the cgroup at `path`.
    pub(crate) fn procs_at(&self, path: &str) -> Option<PathBuf> {
        // An unknown cgroup is not the root of all.
        if path.is_empty() {
            return None;
        }
        let at = |root: &PathBuf| root.join(path.trim_start_matches('/')).join("cgroup.procs");
        let v1 = || self.v1.iter().map(at).find(|procs| procs.exists());
        match self.root.as_ref().map(at) {
            Some(procs) if self.v1.is_empty() || procs.exists() => Some(procs),
            v2 => v1().or(v2),
        }
    }

    /// Id and path of the cgroup that a process is in now.
    pub(crate) fn of(&mut self, pid: u32) -> Option<(u64, String)> {
        let path = self.of_process(pid)?;
        let id = inode(self.root.as_deref()?, &path)?;
        self.remember(id, &path);
        Some((id, self.path(id, pid)?.into_path()))
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
            open.extend(children(&root, &path));
        }
        (inode(&root, b"") == Some(ROOT_INODE)).then_some(&self.known)
    }

    fn remember(&mut self, id: u64, path: &[u8]) {
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(id, readable(path));
    }

    /// Where in the hierarchy a process is now.
    fn of_process(&self, pid: u32) -> Option<Vec<u8>> {
        namespace::joined(
            &self.base,
            &namespace::told(&self.proc.join(pid.to_string()))?,
        )
    }
}

fn children(root: &Path, path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(path)).into_iter().flatten();
    let entries = entries.flatten();
    let children = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    children.map(|entry| path.join(entry.file_name())).collect()
}

/// Where something was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// In this cgroup.
    Surely(String),
    /// In this cgroup of v2; with v1 it may have been in any, and its process is gone.
    Perhaps(String),
}

impl Found {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Surely(path) | Self::Perhaps(path) => path,
        }
    }

    pub(crate) fn into_path(self) -> String {
        match self {
            Self::Surely(path) | Self::Perhaps(path) => path,
        }
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

/// Where file systems of this kind are mounted.
fn mount_points(mounts: &[u8], kind: &'static [u8]) -> impl Iterator<Item = PathBuf> {
    mounts::parse(mounts)
        .filter(move |mount| &*mount.fs_type == kind)
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
                mount_points(mounts.as_bytes(), b"cgroup2").next(),
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
            cgroups
                .path(id("system.slice"), 8)
                .as_ref()
                .map(Found::as_str),
            Some("/system.slice")
        );
        assert_eq!(
            cgroups.path(id(""), 8).as_ref().map(Found::as_str),
            Some("/")
        );
        let odd = id("system.slice/cron\n.service");
        assert_eq!(
            cgroups.path(odd, 8).as_ref().map(Found::as_str),
            Some(r"/system.slice/cron\x0a.service")
        );
        assert_eq!(cgroups.path(u64::MAX, 8), None);
        cgroups.learn(u64::MAX, b"/gone");
        assert_eq!(
            cgroups.path(u64::MAX, 8).as_ref().map(Found::as_str),
            Some("/gone")
        );
    }

    #[test]
    fn with_v1_the_process_tells() {
        const ID: &str = "5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c5f3a9d0c";
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (root, proc) = (dir.path().join("unified"), dir.path().join("proc"));
        let (pids, container) = (dir.path().join("pids"), format!("/kubepods/podu/{ID}"));
        fs::create_dir_all(&root).expect("made");
        fs::create_dir_all(pids.join(&container[1..])).expect("made");
        fs::write(pids.join(&container[1..]).join("cgroup.procs"), "7\n").expect("written");
        for process in ["self", "7"] {
            fs::create_dir_all(proc.join(process)).expect("made");
        }
        let mountinfo = format!(
            "1 1 0:1 / {} rw - cgroup2 none rw\n2 1 0:2 / {} rw - cgroup none rw,pids\n",
            root.display(),
            pids.display()
        );
        fs::write(proc.join("self/mountinfo"), mountinfo).expect("written");
        let lines = format!("8:pids:{container}\n0::/\n");
        fs::write(proc.join("7/cgroup"), lines).expect("written");
        let mut cgroups = Cgroups::new(&proc);
        let id = fs::metadata(&root).expect("made").ino();
        assert_eq!(cgroups.path(id, 7), Some(Found::Surely(container.clone())));
        assert_eq!(cgroups.of(7), Some((id, container.clone())));
        // This one is gone.
        assert_eq!(cgroups.path(id, 8), Some(Found::Perhaps("/".to_owned())));
        assert!(cgroups.exists(&container));
        assert!(!cgroups.exists("/kubepods/podu"));
        // What v2 says goes first.
        cgroups.learn(99, container.as_bytes());
        assert_eq!(cgroups.path(99, 8), Some(Found::Surely(container)));
    }
}
