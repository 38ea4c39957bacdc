//! What the programs are built from.

use std::sync::LazyLock;

use archtrace_architecture::source::{Source, Words, files};

const DIRECTORIES: [&str; 15] = [
    "agent-ebpf/src",
    "agent/src",
    "audit/src",
    "cli/src",
    "collector/src",
    "cri/src",
    "export/src",
    "facts/src",
    "images/src",
    "metrics/src",
    "proto/src",
    "query/src",
    "registry/src",
    "sink/src",
    "web/src",
];

/// Its files but for tests, and what each speaks of.
pub(crate) fn product() -> impl Iterator<Item = &'static (Source, Words)> {
    static READ: LazyLock<Vec<(Source, Words)>> = LazyLock::new(|| {
        let sources = files(&DIRECTORIES).into_iter();
        let sources = sources.filter(|file| !file.is_test());
        let read = sources.map(|file| {
            let words = file.words();
            (file, words)
        });
        read.collect()
    });
    READ.iter()
}
