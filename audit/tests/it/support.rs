//! Trees and archives to look at.

use std::fs;
use std::path::{Path, PathBuf};

use archtrace_audit::{Options, Progress, tree_at};
use archtrace_facts::arch::Arch;
use archtrace_facts::audit::{Audit, Role};
use archtrace_guests::{Isa, Program};
use tempfile::TempDir;

/// A directory that is the root of a tree.
pub(crate) struct Root(TempDir);

impl Root {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where `path` of the tree is, with all directories on its way.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        let at = self.path().join(path.trim_start_matches('/'));
        let parent = at.parent().expect("below the root");
        fs::create_dir_all(parent).expect("made");
        at
    }

    pub(crate) fn file(&self, path: &str, bytes: &[u8]) {
        fs::write(self.at(path), bytes).expect("written");
    }

    pub(crate) fn link(&self, path: &str, target: impl AsRef<Path>) {
        std::os::unix::fs::symlink(target, self.at(path)).expect("made");
    }
}

pub(crate) fn elf(isa: Isa) -> Vec<u8> {
    archtrace_guests::build(isa, Program::Exit(0))
}

pub(crate) fn amd64() -> Vec<u8> {
    elf(Isa::Amd64)
}

pub(crate) fn arm64() -> Vec<u8> {
    elf(Isa::Arm64)
}

/// Looks at a tree that should be for arm64.
pub(crate) fn scan(root: &Root) -> Audit {
    scan_with(root, &Options::scan(Arch::Arm64, 2))
}

pub(crate) fn scan_with(root: &Root, options: &Options) -> Audit {
    tree_at(root.path(), options, &Progress::default()).expect("an audit")
}

pub(crate) fn found(audit: &Audit) -> Vec<(&str, Role)> {
    let foreign = audit.foreign.iter();
    foreign
        .map(|file| (file.path.as_str(), file.role))
        .collect()
}
