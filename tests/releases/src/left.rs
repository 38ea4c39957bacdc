//! Files of a release, below `tests/releases/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use prost_reflect::DescriptorPool;
use serde_json::Value;

/// The protocol: descriptors, as `proto/published.binpb` had them.
pub(crate) const PROTOCOL: &str = "protocol.binpb";
/// A store in a file.
pub(crate) const SQLITE: &str = "store.db";
/// A store in a database, as SQL.
pub(crate) const POSTGRES: &str = "store.sql";
/// What its collector sent to the database: each text once, in order.
pub(crate) const STATEMENTS: &str = "statements.json";
/// What its collector answered from a store of this kind.
pub(crate) fn answers(kind: &str) -> String {
    format!("answers-{kind}.json")
}

/// What a release left behind.
#[derive(Clone, Debug)]
pub struct Release {
    dir: PathBuf,
}

impl Release {
    /// All that there are, the oldest first.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn all() -> Result<Vec<Self>> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut releases = Vec::new();
        for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
            let dir = entry?.path();
            if dir.join(PROTOCOL).is_file() {
                releases.push(Self { dir });
            }
        }
        releases.sort_by(|a, b| a.dir.cmp(&b.dir));
        Ok(releases)
    }

    /// Its version.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.dir.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Its protocol.
    ///
    /// # Errors
    /// If the file is not there, or is none.
    pub fn protocol(&self) -> Result<DescriptorPool> {
        protocol(&self.dir.join(PROTOCOL))
    }

    /// A store that it filled; to be copied before it is opened.
    #[must_use]
    pub fn sqlite(&self) -> PathBuf {
        self.dir.join(SQLITE)
    }

    /// Statements that make a store which it filled.
    #[must_use]
    pub fn postgres(&self) -> PathBuf {
        self.dir.join(POSTGRES)
    }

    /// How it answered [`crate::ask::all`] from its store.
    ///
    /// # Errors
    /// If the file is not there, or is none.
    pub fn answers(&self, kind: &str) -> Result<Value> {
        self.json(&answers(kind))
    }

    /// What it sends to its database.
    ///
    /// # Errors
    /// If the file is not there, or is none.
    pub fn statements(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_value(self.json(STATEMENTS)?)?)
    }

    fn json(&self, name: &str) -> Result<Value> {
        let path = self.dir.join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))
    }
}

/// Descriptors of a file.
///
/// # Errors
/// If it is not there, or is none.
pub fn protocol(path: &Path) -> Result<DescriptorPool> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    DescriptorPool::decode(bytes.as_slice()).with_context(|| format!("read {}", path.display()))
}
