//! Rules for every file.

use std::fs;

use archtrace_architecture::crates::packages;
use archtrace_architecture::root;
use archtrace_architecture::source::files;

/// Above this a file has two subjects, mostly.
const LINES: usize = 400;

/// Files that are longer all the same, and why.
const LONGER: [(&str, &str); 1] = [(
    "facts/src/finding/catalogue.rs",
    "one table: what is said of each finding, in the order in which documents tell it",
)];

/// Where `unsafe` may be: the programs in the kernel, and the Rust side of their ABI.
const UNSAFE: &str = "agent-ebpf/";

/// The whole tree.
const ALL: [&str; 1] = ["."];

#[test]
fn files_have_one_subject() {
    let mut long: Vec<_> = files(&ALL)
        .into_iter()
        .map(|file| (file.text.lines().count(), file.path))
        .filter(|(lines, _)| *lines > LINES)
        .collect();
    long.retain(|(_, path)| !LONGER.iter().any(|(longer, _)| longer == path));
    assert!(long.is_empty(), "to be split by meaning: {long:?}");
    for (path, _) in LONGER {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(text.lines().count() > LINES, "{path} needs no exception");
    }
}

#[test]
fn unsafe_is_where_the_kernel_is() {
    let mut places = 0;
    for file in files(&ALL) {
        // Reading words takes a while.
        if file.text.contains("unsafe") && file.words().speak_of("unsafe") {
            assert!(file.path.starts_with(UNSAFE), "{} is unsafe", file.path);
            places += 1;
        }
    }
    assert!(places > 0, "there is none at all: nobody looks");
}

/// The compiler holds it too, in code that macros make as well.
#[test]
fn the_compiler_forbids_unsafe() {
    let read = |path: &str| {
        let path = root().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    assert!(read("Cargo.toml").contains("unsafe_code = \"forbid\""));
    for package in packages().values() {
        let manifest = read(&format!("{}/Cargo.toml", package.directory));
        let has_lints = manifest.contains("[lints]\nworkspace = true");
        assert_eq!(
            has_lints,
            package.directory != "agent-ebpf",
            "{}",
            package.directory
        );
    }
}
