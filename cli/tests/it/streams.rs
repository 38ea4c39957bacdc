//! What goes on until somebody has seen enough.

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{EventKind, Mode};
use archtrace_facts::report::Record;

use super::program::{end, spawn, start, take_output};
use super::support::{Collector, event, fact, key};

fn failed(binary: &str, hours: u64) -> Record {
    let key = key(binary, Arch::Riscv64, Mode::Failed);
    event(EventKind::FailedExec, key, 8, None, hours)
}

const KINDS: [&str; 3] = ["emulated_exec", "failed_exec", "loss"];

#[test]
fn events_are_followed_the_oldest_first() {
    let mut collector = Collector::filled();
    let args = ["events", "--follow", "--since", "all", "-o", "json"];
    let follower = start(&collector, &args);
    let coverage = follower.object_of("kind", &["coverage"]);
    assert_eq!(
        (&coverage["reporting"], &coverage["source"]),
        (&1.into(), &"seen".into())
    );
    for kind in ["failed_exec", "loss", "emulated_exec"] {
        assert_eq!(follower.object_of("kind", &KINDS)["kind"], kind);
    }
    // What comes in late is told when it comes.
    for (binary, hours) in [("/bin/new", 0), ("/bin/late", 40)] {
        collector.append(vec![failed(binary, hours)]);
        assert_eq!(follower.object_of("kind", &KINDS)["binary"], binary);
    }
    assert_eq!(follower.interrupt(), (Some(0), String::new()));
}

#[test]
fn only_what_is_asked_for_is_followed() {
    let mut collector = Collector::filled();
    let args = [
        "events",
        "--follow",
        "--since",
        "all",
        "-o",
        "json",
        "--kind",
        "failed_exec",
        "--filter",
        "binary = \"/bin/*\"",
    ];
    let follower = start(&collector, &args);
    collector.append(vec![failed("relative", 0), failed("/bin/x", 0)]);
    assert_eq!(follower.object_of("kind", &KINDS)["binary"], "/bin/x");
    assert_eq!(follower.interrupt().0, Some(0));
}

#[test]
fn a_table_of_events_goes_on_with_its_columns() {
    let mut collector = Collector::filled();
    let follower = start(&collector, &["events", "--follow", "--since", "all"]);
    let head = follower.line();
    assert!(head.starts_with("TIME") && head.contains("WHY"), "{head}");
    let at = head.find("KIND").expect("a column");
    for kind in ["failed_exec", "loss", "emulated_exec"] {
        let line = follower.line();
        assert!(line[at..].starts_with(kind), "{head}\n{line}");
    }
    collector.append(vec![failed(
        "/bin/a-name-that-is-longer-than-those-before",
        0,
    )]);
    let line = follower.line();
    assert!(line[at..].starts_with("failed_exec"), "{head}\n{line}");
    assert!(!line.contains('\x1b'), "colour is for terminals: {line}");
    assert_eq!(follower.interrupt().0, Some(0));
}

#[test]
fn a_stream_that_breaks_is_resumed_and_nothing_told_twice_or_left_out() {
    let mut collector = Collector::filled();
    let args = ["events", "--follow", "--since", "all", "-o", "json"];
    let follower = start(&collector, &args);
    for _ in 0..3 {
        follower.object_of("kind", &KINDS);
    }
    collector.stop();
    collector.append(vec![failed("/bin/meanwhile", 0)]);
    collector.start();
    assert_eq!(
        follower.object_of("kind", &KINDS)["binary"],
        "/bin/meanwhile"
    );
    collector.append(vec![failed("/bin/after", 0)]);
    assert_eq!(follower.object_of("kind", &KINDS)["binary"], "/bin/after");
    let (code, told) = follower.interrupt();
    assert_eq!(code, Some(0));
    assert!(told.contains("going on when it is there again"), "{told}");
}

#[test]
fn facts_are_told_and_then_what_changes() {
    let mut collector = Collector::filled();
    let args = ["facts", "--watch", "--mode", "emulated", "-o", "json"];
    let watcher = start(&collector, &args);
    let changes = ["added", "changed", "removed", "snapshot_end"];
    let mut added = Vec::new();
    loop {
        let object = watcher.object_of("change", &changes);
        if object["change"] == "snapshot_end" {
            assert_eq!(object["facts"], 3);
            break;
        }
        assert_eq!(object["change"], "added");
        added.push(object["binary"].as_str().expect("a text").to_owned());
    }
    added.sort_unstable();
    assert_eq!(added, ["/bin/ended", "/bin/old", "/bin/running"]);
    let emulated = |binary| key(binary, Arch::Arm64, Mode::Emulated);
    let mut running = fact(emulated("/bin/running"), 2, 0);
    running.count += 1;
    collector.change(1, vec![running.clone()], Vec::new());
    let changed = watcher.object_of("change", &changes);
    assert_eq!(
        (&changed["change"], &changed["binary"], &changed["count"]),
        (&"changed".into(), &"/bin/running".into(), &1235.into())
    );
    collector.change(2, Vec::new(), vec![running.key.id()]);
    let removed = watcher.object_of("change", &changes);
    assert_eq!(
        (&removed["change"], &removed["binary"]),
        (&"removed".into(), &"/bin/running".into())
    );
    // After a break only what changed is told.
    collector.stop();
    collector.change(3, vec![fact(emulated("/bin/new"), 1, 0)], Vec::new());
    collector.start();
    let new = watcher.object_of("change", &changes[..3]);
    assert_eq!(
        (&new["change"], &new["binary"]),
        (&"added".into(), &"/bin/new".into())
    );
    let (code, told) = watcher.interrupt();
    assert_eq!(code, Some(0));
    assert!(told.contains("going on when it is there again"), "{told}");
}

#[test]
fn a_table_of_facts_says_what_happened_to_each() {
    let mut collector = Collector::filled();
    let watcher = start(&collector, &["facts", "--watch", "--running"]);
    assert!(watcher.line().starts_with("TIME"));
    let line = watcher.line();
    assert!(
        line.contains(" +  n1") && line.contains("/bin/running"),
        "{line}"
    );
    let ended = fact(key("/bin/running", Arch::Arm64, Mode::Emulated), 0, 0);
    collector.change(1, vec![ended], Vec::new());
    let line = watcher.line();
    assert!(
        line.contains(" -  n1") && line.contains("/bin/running"),
        "{line}"
    );
    assert_eq!(watcher.interrupt().0, Some(0));
}

#[test]
fn a_reader_that_goes_away_ends_what_goes_on() {
    let collector = Collector::filled();
    for args in [
        &["events", "--follow"][..],
        &["facts", "--watch", "--mode", "compat"],
    ] {
        // Nothing is written that could fail.
        let mut child = spawn(&collector, args);
        drop(take_output(&mut child));
        assert_eq!(end(child), (Some(0), String::new()), "{args:?}");
    }
}

#[test]
fn what_cannot_be_followed_at_all_fails_at_once() {
    let mut collector = Collector::filled();
    collector.stop();
    for args in [&["events", "--follow"][..], &["facts", "--watch"]] {
        let (code, told) = end(spawn(&collector, args));
        assert_eq!(code, Some(3), "{told}");
        assert!(told.contains("Connection refused"), "{told}");
    }
}
