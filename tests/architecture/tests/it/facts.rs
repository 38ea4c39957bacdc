//! `facts` does no I/O and asks nobody for the time.

use archtrace_architecture::crates::tree;
use archtrace_architecture::source::{Source, Words};

use super::product::product;

/// Parts of the standard library that hold data or reckon with it.
const PURE: [&str; 17] = [
    "borrow",
    "cmp",
    "collections",
    "error",
    "fmt",
    "hash",
    "iter",
    "mem",
    "num",
    "ops",
    "path",
    "slice",
    "str",
    "sync::Arc",
    "time::Duration",
    "time::SystemTime",
    "time::UNIX_EPOCH",
];

/// What is of no such part, and why it is no I/O.
const OTHERS: [(&str, &str); 2] = [
    ("env::consts", "what the compiler knows"),
    ("net::Ipv6Addr", "an address is a number"),
];

/// What all of it is built from: parsers, decoders and hashes.
const BUILT_FROM: [&str; 14] = [
    "block-buffer",
    "cfg-if",
    "cpufeatures",
    "crypto-common",
    "digest",
    "generic-array",
    "iced-x86",
    "jiff",
    "jiff-core",
    "lazy_static",
    "memchr",
    "sha2",
    "thiserror",
    "typenum",
];

fn facts() -> impl Iterator<Item = &'static (Source, Words)> {
    product().filter(|(file, _)| file.path.starts_with("facts/"))
}

#[test]
fn facts_know_no_file_no_socket_and_no_thread() {
    let allowed = PURE.into_iter().chain(OTHERS.map(|(path, _)| path));
    let allowed: Vec<_> = allowed.map(|path| format!("std::{path}")).collect();
    let is_of = |path: &str, part: &str| {
        let rest = path.strip_prefix(part);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    for (file, words) in facts() {
        for path in &words.paths {
            let is_std = is_of(path, "std");
            let is_allowed = allowed.iter().any(|part| is_of(path, part));
            assert!(!is_std || is_allowed, "{}: {path}", file.path);
        }
    }
}

#[test]
fn facts_do_not_ask_for_the_time_and_print_nothing() {
    for (file, words) in facts() {
        for call in [
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
            "TimeZone::system",
        ] {
            assert!(!words.call(call), "{}: {call}", file.path);
        }
        for word in [
            "print!",
            "println!",
            "eprint!",
            "eprintln!",
            "dbg!",
            "include_bytes!",
            "include_str!",
        ] {
            assert!(!words.speak_of(word), "{}: {word}", file.path);
        }
    }
}

#[test]
fn facts_are_built_from_nothing_that_does_io() {
    let built = tree("archtrace-facts");
    for name in &built {
        assert!(
            BUILT_FROM.contains(&name.as_str()),
            "facts is built from {name}: does it open, send, wait or start anything?"
        );
    }
    assert!(built.contains("iced-x86"), "{built:?}");
}
