//! What only some places may speak of.

use std::fs;

use archtrace_architecture::root;

use super::product::product;

/// Where messages of the protocol are filled in and read: both ends of each connection. All else knows only what
/// `proto/src/convert` makes of them.
const MESSAGES: [&str; 9] = [
    "agent/src/local/serve.rs",
    "cli/src/client",
    "collector/src/ingest",
    "collector/src/serve.rs",
    "query/src/direct.rs",
    "query/src/live.rs",
    "query/src/service",
    "sink/src/connect.rs",
    "sink/src/session",
];

/// Whoever speaks of `path` is in `places`, and somebody in each of these does.
fn only_in(path: &str, places: &[&str]) {
    let mut silent = places.to_vec();
    for (file, words) in product() {
        if words.speak_of(path) {
            silent.retain(|place| !file.path.starts_with(place));
            assert!(
                places.iter().any(|place| file.path.starts_with(place)),
                "{} speaks of {path}, which belongs to {places:?}",
                file.path
            );
        }
    }
    assert!(silent.is_empty(), "{path} is no longer in {silent:?}");
}

#[test]
fn sql_is_in_the_store() {
    for path in ["rusqlite", "tokio_postgres", "deadpool_postgres"] {
        only_in(path, &["collector/src/store/"]);
    }
}

#[test]
fn messages_of_the_protocol_stop_where_they_arrive() {
    only_in("archtrace_proto::v1", &MESSAGES);
}

/// The agent makes exec fail, and tries out 32-bit programs, to prove its hooks; the command line has kubectl forward
/// a port.
#[test]
fn programs_are_started_by_two_who_say_why() {
    let hooks = ["agent/src/source/compat.rs", "agent/src/source/prove.rs"];
    let kubectl = "cli/src/forward";
    only_in("std::process::Command", &[hooks[0], hooks[1], kubectl]);
    only_in("tokio::process", &[kubectl]);
}

#[test]
fn the_store_is_told_the_time() {
    let store = "collector/src/store";
    for (file, words) in product().filter(|(file, _)| file.path.starts_with(store)) {
        assert!(!words.call("SystemTime::now"), "{}", file.path);
        for text in &words.texts {
            no_clock(&file.path, text);
        }
    }
    for schema in ["sqlite/schema", "postgres/schema"] {
        let directory = root().join(store).join(schema);
        for entry in fs::read_dir(&directory).expect("the schema is there") {
            let path = entry.expect("a directory can be read").path();
            let text = fs::read_to_string(&path).expect("a schema is text");
            no_clock(&path.display().to_string(), &text);
        }
    }
}

fn no_clock(place: &str, sql: &str) {
    let sql = sql.to_ascii_lowercase();
    for clock in [
        "current_timestamp",
        "current_time",
        "clock_timestamp",
        "now()",
        "'now'",
        "unixepoch()",
    ] {
        assert!(!sql.contains(clock), "{place}: {clock}");
    }
}

/// Files of `/proc/<pid>` in which other people's secrets are.
#[test]
fn arguments_and_environment_of_processes_are_not_read() {
    for (file, words) in product() {
        for secret in ["cmdline", "environ"] {
            let is_file = |text: &String| {
                let mut parts = text.split(['/', '"']);
                parts.any(|part| part == secret)
            };
            assert!(!words.texts.iter().any(is_file), "{}: {secret}", file.path);
            // procfs has a function for each.
            assert!(!words.call(secret), "{}: {secret}", file.path);
        }
    }
}

/// A map or a program that is pinned would outlive the agent.
#[test]
fn nothing_is_pinned() {
    for (file, words) in product().filter(|(file, _)| file.path.starts_with("agent")) {
        // As a method, or one of aya's.
        for pin in [
            "pin",
            "pinned",
            "PinnedLink",
            "map_pin_path",
            "default_map_pin_directory",
        ] {
            assert!(!words.speak_of(pin), "{}: {pin}", file.path);
        }
    }
}
