//! What a record's path means.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use archtrace_ebpf::abi::path_kind;

/// A name as people will see it, before it is made printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) path: PathBuf,
    /// Whether it is absolute in the mount namespace of its process.
    pub(crate) resolved: bool,
}

/// Reads a path as the kernel side sent it; `kind` is one of [`path_kind`].
pub(crate) fn read(kind: u8, bytes: &[u8]) -> Name {
    match kind {
        path_kind::COMPONENTS | path_kind::TRUNCATED => {
            let mut path = PathBuf::from("/");
            let names: Vec<_> = bytes
                .split(|byte| *byte == 0)
                .filter(|name| !name.is_empty())
                .collect();
            path.extend(names.iter().rev().map(|name| OsStr::from_bytes(name)));
            Name {
                path,
                resolved: kind == path_kind::COMPONENTS,
            }
        }
        _ => {
            let path = PathBuf::from(OsStr::from_bytes(bytes));
            Name {
                resolved: path.is_absolute() && !leads_elsewhere(&path),
                path,
            }
        }
    }
}

/// Makes a name absolute that was not resolved in the kernel, through the working directory of
/// its process: right as long as that lives and has not gone elsewhere.
pub(crate) fn resolve(proc: &Path, pid: u32, name: Name) -> Name {
    if name.resolved || name.path.is_absolute() || name.path.as_os_str().is_empty() {
        return name;
    }
    match std::fs::read_link(proc.join(pid.to_string()).join("cwd")) {
        Ok(cwd) if cwd.is_absolute() => Name {
            path: normal(&cwd.join(&name.path)),
            resolved: true,
        },
        _ => name,
    }
}

/// Names below `/proc` and `/dev/fd` mean another file for each process.
fn leads_elsewhere(path: &Path) -> bool {
    path.starts_with("/proc") || path.starts_with("/dev/fd")
}

/// Without `.`, and without `..` where that is known to be right: a link may be in the way of a
/// name before it, so such a pair is kept.
fn normal(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_were_sent() {
        for (kind, bytes, path, resolved) in [
            (
                path_kind::GIVEN,
                &b"/usr/bin/true"[..],
                "/usr/bin/true",
                true,
            ),
            (path_kind::GIVEN, b"./true", "./true", false),
            (path_kind::GIVEN, b"/proc/self/exe", "/proc/self/exe", false),
            (path_kind::GIVEN, b"/dev/fd/3", "/dev/fd/3", false),
            (path_kind::GIVEN, b"", "", false),
            (
                path_kind::COMPONENTS,
                b"true\0bin\0usr\0",
                "/usr/bin/true",
                true,
            ),
            (path_kind::COMPONENTS, b"", "/", true),
            (path_kind::TRUNCATED, b"true\0bin\0", "/bin/true", false),
            (path_kind::NONE, b"", "", false),
        ] {
            let expected = Name {
                path: PathBuf::from(path),
                resolved,
            };
            assert_eq!(read(kind, bytes), expected, "{kind} {bytes:?}");
        }
    }

    #[test]
    fn relative_names_follow_the_working_directory() {
        let cwd = std::env::current_dir().expect("there is one");
        let name = read(path_kind::GIVEN, b"./a/./b");
        let resolved = resolve(Path::new("/proc"), std::process::id(), name.clone());
        assert_eq!(
            resolved,
            Name {
                path: cwd.join("a/b"),
                resolved: true
            }
        );
        assert_eq!(resolve(Path::new("/no/proc"), 1, name.clone()), name);
    }
}
