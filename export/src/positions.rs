//! How far an export is: a file, replaced as a whole.
//!
//! Text, one node a line, behind a line that says of which store: numbers of nodes and versions mean
//! nothing in another one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use archtrace_query::read::{EventPlace, NodeId, Version};

use crate::directory::{directory, sync_names};

/// The first words of the first line.
const HEAD: &str = "archtrace-export 1 ";

/// Bytes of a file: 10,000 nodes take half a megabyte.
const MAX_BYTES: u64 = 64 << 20;

/// The place in each node's events up to which all are passed on.
#[derive(Debug)]
pub struct Positions {
    path: PathBuf,
    store: String,
    pub(crate) nodes: BTreeMap<NodeId, EventPlace>,
    /// There was no file: nothing was exported yet.
    pub(crate) is_new: bool,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    /// It cannot be read or written.
    #[error(
        "cannot keep the position of an export in {path}: {reason}; check --export-state",
        path = path.display()
    )]
    File {
        /// Which one.
        path: PathBuf,
        /// What went wrong.
        reason: io::Error,
    },
    /// It is none, or of another store.
    #[error(
        "{path}: {what}; if the export may begin with what happens from now on, remove the file",
        path = path.display()
    )]
    Content {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl Positions {
    /// Reads the file, if there is one, and makes sure that it can be written. `store` is the name of the
    /// store whose events are exported.
    ///
    /// # Errors
    /// If it cannot be read or written, or is not one of this store.
    pub fn open(path: &Path, store: &str) -> Result<Self, PositionError> {
        let content = |what| PositionError::Content {
            path: path.to_owned(),
            what,
        };
        let mut text = String::new();
        let is_new = match File::open(path) {
            Ok(file) => {
                let read = file.take(MAX_BYTES).read_to_string(&mut text);
                read.map_err(|reason| failed(path, reason))?;
                false
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(failed(path, error)),
        };
        let nodes = if is_new {
            BTreeMap::new()
        } else {
            parse(&text, store).map_err(content)?
        };
        let positions = Self {
            path: path.to_owned(),
            store: store.to_owned(),
            nodes,
            is_new,
        };
        if !is_new {
            positions.save().map_err(|reason| failed(path, reason))?;
        } else {
            fs::create_dir_all(directory(path)).map_err(|reason| failed(path, reason))?;
        }
        Ok(positions)
    }

    /// Of an export that begins with what happens from now on, each time: nothing is kept in a file.
    #[must_use]
    pub fn in_memory(store: &str) -> Self {
        Self {
            path: PathBuf::new(),
            store: store.to_owned(),
            nodes: BTreeMap::new(),
            is_new: true,
        }
    }

    /// Replaces the file: whatever happens, the old or the new one is there.
    pub(crate) fn save(&self) -> io::Result<()> {
        if self.path.as_os_str().is_empty() {
            return Ok(());
        }
        let mut text = format!("{HEAD}{}\n", self.store);
        for (node, place) in &self.nodes {
            let EventPlace {
                version,
                stream_id,
                sequence,
            } = place;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {} {stream_id} {sequence}", node.0, version.0);
        }
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let new = PathBuf::from(name);
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        sync_names(&self.path)
    }

    /// For another thread.
    pub(crate) fn copy(&self) -> Self {
        Self {
            path: self.path.clone(),
            store: self.store.clone(),
            nodes: self.nodes.clone(),
            is_new: self.is_new,
        }
    }

    /// Where it is kept.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn failed(path: &Path, reason: io::Error) -> PositionError {
    PositionError::File {
        path: path.to_owned(),
        reason,
    }
}

fn parse(text: &str, store: &str) -> Result<BTreeMap<NodeId, EventPlace>, String> {
    let mut lines = text.lines();
    let named = lines.next().and_then(|line| line.strip_prefix(HEAD));
    match named {
        Some(named) if named == store => {}
        Some(named) => return Err(format!("it is of the store {named}, not of {store}")),
        None => return Err("it is no position of an export that this version knows".to_owned()),
    }
    let nodes = lines.enumerate().map(|(i, line)| {
        node(line).ok_or_else(|| format!("line {}: it is no position of a node", i + 2))
    });
    nodes.collect()
}

fn node(line: &str) -> Option<(NodeId, EventPlace)> {
    let mut words = line.split(' ');
    let node = NodeId(words.next()?.parse().ok()?);
    let place = EventPlace {
        version: Version(words.next()?.parse().ok()?),
        stream_id: words.next()?.parse().ok()?,
        sequence: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some((node, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state/otlp.position");
        let mut positions = Positions::open(&path, "sqlite:a b.db").expect("opens");
        assert!(positions.is_new);
        let place = EventPlace {
            version: Version(7),
            stream_id: u64::MAX,
            sequence: 9,
        };
        positions.nodes.insert(NodeId(3), place);
        positions.save().expect("saves");
        let again = Positions::open(&path, "sqlite:a b.db").expect("opens");
        assert!(!again.is_new);
        assert_eq!(again.nodes, positions.nodes);
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("position");
        for (text, part) in [
            ("", "no position"),
            ("archtrace-export 1 other\n", "of the store other"),
            ("archtrace-export 1 s\n1 2 3 4\n1 2 3\n", "line 3"),
            ("archtrace-export 1 s\n1 2 3 4 5\n", "line 2"),
        ] {
            fs::write(&path, text).expect("writes");
            let told = Positions::open(&path, "s").expect_err(text).to_string();
            assert!(told.contains(part) && told.contains("remove"), "{told}");
        }
        let told = Positions::open(dir.path(), "s").expect_err("a directory");
        assert!(told.to_string().contains("--export-state"), "{told}");
    }
}
