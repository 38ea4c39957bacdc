//! The node's `binfmt_misc` registry.

use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use archtrace_facts::binfmt::{MAX_ENTRY_LEN, Rule};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::mounts;

/// The agent's own mount, then the node's: a `binfmt_misc` that was mounted after the container
/// started is only seen there.
const PLACES: [&str; 2] = [
    "/proc/sys/fs/binfmt_misc",
    "/proc/1/root/proc/sys/fs/binfmt_misc",
];

/// Handlers on a node: a build node may have one for each machine QEMU knows.
const MAX_HANDLERS: usize = 256;

/// What could be seen of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Registry {
    /// These handlers; maybe none.
    Seen(Vec<Rule>),
    /// The kernel has no `binfmt_misc` (its module is not loaded): there can be none.
    Absent,
    /// It could not be looked at, and why.
    Hidden(String),
}

impl Registry {
    /// The handlers that are known.
    pub(crate) fn rules(&self) -> &[Rule] {
        match self {
            Self::Seen(rules) => rules,
            Self::Absent | Self::Hidden(_) => &[],
        }
    }

    /// For the preflight report: "no handlers" is not "cannot see".
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Seen(rules) if rules.is_empty() => "none".to_owned(),
            Self::Seen(_) => "registered".to_owned(),
            Self::Absent => "none (the kernel has not loaded binfmt_misc)".to_owned(),
            Self::Hidden(reason) => reason.clone(),
        }
    }
}

/// Reads all handlers. Entries that do not parse are left out, with a line in the log.
pub(crate) fn read() -> Registry {
    if !mounts::is_known("binfmt_misc") {
        return Registry::Absent;
    }
    match place() {
        Some(place) => read_at(&place),
        None => {
            Registry::Hidden("binfmt_misc is not mounted where the agent can see it".to_owned())
        }
    }
}

/// Reads the handlers below `place`.
pub(crate) fn read_at(place: &Path) -> Registry {
    let entries = match fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) => return Registry::Hidden(format!("{}: {error}", place.display())),
    };
    let mut rules = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name == "register" || name == "status" || rules.len() >= MAX_HANDLERS {
            continue;
        }
        // One that vanished meanwhile is no handler any more.
        let Ok(content) = read_bounded(&entry.path()) else {
            continue;
        };
        match Rule::parse(name.as_bytes(), &content) {
            Ok(mut rule) => {
                // The inode is made when the handler is registered (`bm_register_write`).
                rule.since = entry
                    .metadata()
                    .ok()
                    .and_then(|entry| entry.modified().ok());
                rules.push(rule);
            }
            Err(error) => tracing::warn!(%error, "left out"),
        }
    }
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    Registry::Seen(rules)
}

/// Tells when a handler is registered, changed or removed: all of that is done by writing to the
/// registry's files. `None` where that cannot be watched; then only [`read`] tells.
pub(crate) fn watch() -> Option<Inotify> {
    let place = place()?;
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
    inotify
        .add_watch(&place, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_DELETE)
        .ok()?;
    Some(inotify)
}

fn place() -> Option<PathBuf> {
    PLACES
        .iter()
        .map(PathBuf::from)
        .find(|place| place.join("register").exists())
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let limit = u64::try_from(MAX_ENTRY_LEN).unwrap_or(u64::MAX);
    fs::File::open(path)?
        .take(limit)
        .read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_beside_a_handler_is_left_out() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let entry = "enabled\ninterpreter /qemu\nflags: F\noffset 0\nmagic 7f454c460201010000000000000000000200b700\n";
        for (name, content) in [
            ("register", &b""[..]),
            ("status", b"enabled\n"),
            ("qemu", entry.as_bytes()),
            ("empty", b""),
            ("garbage", b"\xff\xfe\n\n\0"),
            (
                "wine",
                b"enabled\ninterpreter /wine\nflags: \nextension .exe\n",
            ),
        ] {
            fs::write(place.path().join(name), content).expect("written");
        }
        let registry = read_at(place.path());
        let names: Vec<_> = registry
            .rules()
            .iter()
            .map(|rule| rule.name.as_str())
            .collect();
        assert_eq!(names, ["qemu", "wine"]);
    }

    #[test]
    fn what_cannot_be_seen_is_not_told_as_none() {
        let registry = read_at(Path::new("/no/such/place"));
        assert!(matches!(&registry, Registry::Hidden(reason) if reason.contains("/no/such/place")));
        assert_ne!(registry.describe(), Registry::Seen(Vec::new()).describe());
    }
}
