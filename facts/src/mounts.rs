//! What is mounted where, as a process sees it: `/proc/<pid>/mountinfo` (proc_pid_mountinfo(5)).
//!
//! `show_mountinfo` (fs/proc_namespace.c) writes a line for each mount; between the sixth field
//! and the dash there may be any number of others:
//!
//! ```text
//! 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//! ```

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::text::unmangle;

/// What `show_mountinfo` escapes; `#` in the last fields only.
const MANGLED: &[u8] = b" \t\n\\#";

/// File systems, beside those of FUSE, where a look-up may wait for somebody else.
const REMOTE: [&[&str]; 4] = [
    // Another machine has to answer,
    &[
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "afs", "coda", "lustre", "gpfs", "beegfs",
        "wekafs", "orangefs",
    ],
    // or the others of a cluster, one of whom holds the lock,
    &["gfs2", "ocfs2"],
    // or the machine that this one is a guest of,
    &["9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs"],
    // or a daemon that is to mount something there.
    &["autofs"],
];

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Number of the mount, unique in the kernel while it is there.
    pub id: u32,
    /// Number of the mount it is mounted on.
    pub parent: u32,
    /// Major and minor number of the file system's device.
    pub dev: (u32, u32),
    /// The directory of the file system that is seen here.
    pub root: Cow<'a, [u8]>,
    /// Where it is mounted, seen from the root of the process.
    pub point: Cow<'a, [u8]>,
    /// Kind of file system, with what FUSE adds to it: `ext4`, `fuse.sshfs`.
    pub fs_type: Cow<'a, [u8]>,
    /// What is mounted: a device, a server, or some word.
    pub source: Cow<'a, [u8]>,
}

impl Mount<'_> {
    /// Whether a mere look-up there may wait for ever, because another program or machine has to
    /// answer. File systems of this kernel alone (ext4, xfs, tmpfs, overlay, proc, ...) do not; an
    /// overlay whose layers lie on such a file system does, and is not told.
    #[must_use]
    pub fn may_hang(&self) -> bool {
        let kind = &*self.fs_type;
        // `fuse.<name>`, `fuseblk.<name>`: any program at all.
        let family = kind.split(|byte| *byte == b'.').next().unwrap_or_default();
        matches!(family, b"fuse" | b"fuseblk")
            || REMOTE
                .iter()
                .copied()
                .flatten()
                .any(|remote| remote.as_bytes() == kind)
    }

    fn covers(&self, path: &[u8]) -> bool {
        let point = self.point.strip_suffix(b"/").unwrap_or(&self.point);
        path.strip_prefix(point)
            .is_some_and(|rest| rest.first().is_none_or(|next| *next == b'/'))
    }
}

/// The mounts that `mountinfo` lists, in order. What does not read like one is left out.
pub fn parse(mountinfo: &[u8]) -> impl Iterator<Item = Mount<'_>> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(mount)
}

/// The mounts that a look-up of `path` goes through, the one that holds the file last. `path` is
/// absolute and without symbolic links or `..`, seen from the same root.
///
/// Mounts are followed from parent to child, as the look-up does: what is mounted below a directory
/// that something else was mounted over later is not reached.
#[must_use]
pub fn on_the_way<'a>(mountinfo: &'a [u8], path: &[u8]) -> Vec<Mount<'a>> {
    let ids: HashSet<u32> = parse(mountinfo).map(|mount| mount.id).collect();
    let (mut outermost, mut children) = (Vec::new(), HashMap::<u32, Vec<Mount<'a>>>::new());
    for mount in parse(mountinfo).filter(|mount| mount.covers(path)) {
        // Where the process has another root than its namespace, that one's mount is not listed.
        if mount.id == mount.parent || !ids.contains(&mount.parent) {
            outermost.push(mount);
        } else {
            children.entry(mount.parent).or_default().push(mount);
        }
    }
    let mut way: Vec<Mount<'a>> = nearest(outermost, 0).into_iter().collect();
    // Each step takes the children of one mount out, so that it ends whatever was listed.
    while let Some(last) = way.last()
        && let Some(mounts) = children.remove(&last.id)
        && let Some(next) = nearest(mounts, last.point.len())
    {
        way.push(next);
    }
    way
}

/// The mount that a look-up meets first; of several at one place, the last. None is nearer than
/// `depth`, where the look-up is.
fn nearest(mounts: Vec<Mount<'_>>, depth: usize) -> Option<Mount<'_>> {
    let ahead = mounts
        .into_iter()
        .filter(|mount| mount.point.len() >= depth);
    ahead.rev().min_by_key(|mount| mount.point.len())
}

fn mount(line: &[u8]) -> Option<Mount<'_>> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let mut dev = fields.next()?.split(|byte| *byte == b':');
    let dev = (number(dev.next()?)?, number(dev.next()?)?);
    let root = fields.next()?;
    let point = fields.next()?;
    fields.find(|field| *field == b"-")?;
    Some(Mount {
        id,
        parent,
        dev,
        root: unmangle(root, MANGLED),
        point: unmangle(point, MANGLED),
        fs_type: unmangle(fields.next()?, MANGLED),
        source: unmangle(fields.next().unwrap_or_default(), MANGLED),
    })
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOUNTS: &[u8] = b"\
1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
2 1 0:5 / /proc rw shared:2 master:3 - proc proc rw\n\
garbage\n\
 - \n\
3 1 0:40 / /srv/data rw - nfs4 server:/export rw\n\
4 3 0:41 / /srv/data/cache rw - tmpfs none rw\n\
5 1 0:42 /sub /mnt/a\\040b rw - fuse.sshfs me@host:/\\043x rw\n\
6 1 0:43 / /over/inner rw - cifs //host/share rw\n\
7 1 0:44 / /over rw - tmpfs tmpfs rw\n\
8 7 0:45 / /over rw - xfs  rw\n\
9 1 0:46 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";

    #[test]
    fn the_mounts_on_the_way_are_those_a_look_up_meets() {
        for (path, expected) in [
            ("/", &["ext4"][..]),
            ("/usr/bin/x", &["ext4"]),
            ("/procfs/x", &["ext4"]),
            ("/proc/1/maps", &["ext4", "proc"]),
            ("/srv/data", &["ext4", "nfs4"]),
            ("/srv/data/cache/x", &["ext4", "nfs4", "tmpfs"]),
            ("/mnt/a b/x", &["ext4", "fuse.sshfs"]),
            // Two at one place, and something below that they hide.
            ("/over/inner/x", &["ext4", "tmpfs", "xfs"]),
            ("relative", &[]),
        ] {
            let way = on_the_way(MOUNTS, path.as_bytes());
            let kinds: Vec<_> = way.iter().map(|mount| &*mount.fs_type).collect();
            let expected: Vec<_> = expected.iter().map(|kind| kind.as_bytes()).collect();
            assert_eq!(kinds, expected, "{path}");
        }
    }

    #[test]
    fn a_root_that_is_no_mount_hides_the_outermost() {
        let mounts = b"52 50 0:5 / /proc rw - proc proc rw\n53 52 0:6 / /proc/x rw - tmpfs x rw\n";
        let kind = |path: &[u8]| {
            let holds = on_the_way(mounts, path).pop();
            holds.map(|mount| mount.fs_type.into_owned())
        };
        assert_eq!(kind(b"/proc/x/y"), Some(b"tmpfs".to_vec()));
        assert_eq!(kind(b"/bin/sh"), None);
    }

    #[test]
    fn every_field_is_read() {
        let mounts: Vec<_> = parse(MOUNTS).collect();
        assert_eq!(mounts.len(), 9);
        let sshfs = Mount {
            id: 5,
            parent: 1,
            dev: (0, 42),
            root: b"/sub".into(),
            point: b"/mnt/a b".into(),
            fs_type: b"fuse.sshfs".into(),
            source: b"me@host:/#x".into(),
        };
        assert_eq!(mounts[4], sshfs);
    }

    #[test]
    fn what_waits_for_others_may_hang() {
        for (kind, expected) in [
            ("fuse", true),
            ("fuse.glusterfs", true),
            ("fuseblk", true),
            ("nfs", true),
            ("autofs", true),
            ("9p", true),
            ("ext4", false),
            ("overlay", false),
            ("nfsd", false),
            ("fusectl", false),
            ("proc", false),
            ("", false),
        ] {
            let line = format!("1 0 0:1 / / rw - {kind} x rw");
            let mount = parse(line.as_bytes()).next().expect("a mount");
            assert_eq!(mount.may_hang(), expected, "{kind}");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(mountinfo: Vec<u8>, path: Vec<u8>) {
            let _ = on_the_way(&mountinfo, &path);
        }

        #[test]
        fn no_tree_of_mounts_is_walked_for_ever(
            tree in prop::collection::vec((0u32..6, 0u32..6, "(/a){0,3}|/"), 0..12),
        ) {
            let lines: String = tree
                .iter()
                .map(|(id, parent, point)| format!("{id} {parent} 0:1 / {point} rw - ext4 x rw\n"))
                .collect();
            prop_assert!(on_the_way(lines.as_bytes(), b"/a/a/a/b").len() <= tree.len());
        }
    }
}
