//! Paths of cgroups as procfs tells them within a cgroup namespace.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{MAX_KNOWN, children};

/// The v2 line of `/proc/<pid>/cgroup` (cgroups(7)): `0::/path`.
pub(super) fn told(process: &Path) -> Option<Vec<u8>> {
    let content = fs::read(process.join("cgroup")).ok()?;
    let mut lines = content.split(|byte| *byte == b'\n');
    let path = lines.find_map(|line| line.strip_prefix(b"0::"));
    path.map(<[u8]>::to_vec)
}

/// The cgroup that procfs counts paths from, for this process: the root of its cgroup namespace, in which a
/// container is put, though it sees the whole hierarchy where the node's is mounted. Paths of others begin with
/// `/..` then (cgroup_namespaces(7)), and nothing tells what was left out; but the hierarchy lists this process.
pub(super) fn base(proc: &Path, root: &Path) -> Option<Vec<u8>> {
    let own = told(&proc.join("self"))?;
    let pid = std::process::id().to_string();
    let is_in = |path: &Path| {
        let procs = fs::read_to_string(root.join(path).join("cgroup.procs"));
        procs.is_ok_and(|procs| procs.lines().any(|line| line == pid))
    };
    let below_root = own.strip_prefix(b"/").unwrap_or(&own);
    if is_in(Path::new(OsStr::from_bytes(below_root))) {
        return None;
    }
    let mut open = vec![PathBuf::new()];
    for _ in 0..MAX_KNOWN {
        let path = open.pop()?;
        if is_in(&path) {
            let found = path.as_os_str().as_bytes();
            let own = own.strip_suffix(b"/").unwrap_or(&own);
            return found.strip_suffix(own).map(<[u8]>::to_vec);
        }
        open.extend(children(root, &path));
    }
    None
}

/// `path`, counted from the root instead of from `base`. `None` if it leads above the root.
pub(super) fn joined(base: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let parts = |path| <[u8]>::split(path, |byte| *byte == b'/').filter(|part| !part.is_empty());
    let mut all: Vec<&[u8]> = parts(base).collect();
    for part in parts(path) {
        if part == b".." {
            all.pop()?;
        } else {
            all.push(part);
        }
    }
    Some([&b"/"[..], &all.join(&b'/')].concat())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::super::Cgroups;
    use super::*;

    #[test]
    fn from_a_namespace_others_are_found_too() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (root, proc) = (dir.path().join("cgroup"), dir.path().join("proc"));
        let id = |path: &str| fs::metadata(root.join(path)).expect("made").ino();
        for path in ["pods/other", "pods/own/inner", "init"] {
            fs::create_dir_all(root.join(path)).expect("made");
        }
        let own = format!("1\n{}\n", std::process::id());
        fs::write(root.join("pods/own/cgroup.procs"), own).expect("written");
        let mountinfo = format!("1 1 0:1 / {} rw - cgroup2 none rw\n", root.display());
        for (process, line) in [
            ("self", "0::/"),
            ("1", "0::/../../init"),
            ("7", "0::/../other"),
            ("8", "0::/inner"),
            ("9", "0::/../../../above"),
        ] {
            fs::create_dir_all(proc.join(process)).expect("made");
            fs::write(proc.join(process).join("cgroup"), line).expect("written");
        }
        fs::write(proc.join("self/mountinfo"), mountinfo).expect("written");
        let mut cgroups = Cgroups::new(&proc);
        for (process, expected) in [
            (1, Some("init")),
            (7, Some("pods/other")),
            (8, Some("pods/own/inner")),
            (9, None),
        ] {
            let expected = expected.map(|path| (id(path), format!("/{path}")));
            assert_eq!(cgroups.of(process), expected, "{process}");
        }
    }
}
