//! What filters mean, summaries, findings and handlers.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::answers::{objects, printed};
use super::support::Collector;

fn binaries(collector: &Collector, args: &[&str]) -> Vec<String> {
    let objects = objects(collector, &[&["facts"], args].concat());
    let names = objects.iter().map(|object| &object["binary"]);
    let mut names: Vec<_> = names
        .map(|name| name.as_str().expect("a text").to_owned())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn filters_are_conditions_that_not_turns_round() {
    let collector = Collector::filled();
    let emulated = &["/bin/ended", "/bin/old", "/bin/running"][..];
    for (args, expected) in [
        (&["--mode", "emulated"][..], emulated),
        (&["--not", "--mode", "native,failed"], emulated),
        (
            &["--not", "--mode", "native", "--not", "--mode", "failed"],
            emulated,
        ),
        (
            &["--arch", "arm64", "--not", "--binary", "/bin/old,*running"],
            &["/bin/ended"],
        ),
        (
            &["--binary", "/bin/r*", "--binary", "relative"],
            &["/bin/running", "relative"],
        ),
        (
            &["--filter", "count > 5 AND mode != emulated"],
            &["/bin/true", "relative"],
        ),
        (
            &["--filter", "mode = native", "--filter", "arch = amd64"],
            &["/bin/true"],
        ),
        (&["--filter", "cpu >= 2s"], &[]),
        (
            &["--cluster", "c", "--node-arch", "amd64", "--mode", "native"],
            &["/bin/true"],
        ),
        (&["--cluster", "other"], &[]),
        (&["--node-arch", "arm64"], &[]),
        (
            &[
                "--container",
                "hsm",
                "--workload",
                "Deployment/*",
                "--image",
                "registry/*",
                "-n",
                "pay",
                "--pod",
                "api-*",
                "--running",
            ],
            &["/bin/running"],
        ),
        (&["--workload", "DaemonSet/*"], &[]),
    ] {
        let found = if expected.is_empty() {
            // That there is nothing is told on stderr.
            let assert = collector.archtrace(&[&["facts", "-o", "json"], args].concat());
            { assert }.assert().success().stdout("");
            Vec::new()
        } else {
            binaries(&collector, args)
        };
        assert_eq!(found, expected, "{args:?}");
    }
}

#[test]
fn history_is_told_only_if_it_is_asked_for() {
    let mut collector = Collector::filled();
    let gone = super::support::key(
        "/bin/old",
        archtrace_facts::arch::Arch::Arm64,
        archtrace_facts::fact::Mode::Emulated,
    );
    let gone = archtrace_facts::fact::FactKey {
        via: Some(archtrace_facts::fact::Via::Build),
        ..gone
    };
    collector.change(1, Vec::new(), vec![gone.id()]);
    let old = ["--mode", "emulated", "--binary", "/bin/old"];
    let ask = |more: &[&str]| {
        let args = [&["facts", "-o", "json"], &old[..], more].concat();
        let assert = collector.archtrace(&args).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).expect("text")
    };
    // Another collector wrote it: this one looks for that several times a second.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !ask(&[]).is_empty() {
        assert!(Instant::now() < deadline, "what has ended is told");
        sleep(Duration::from_millis(50));
    }
    for more in [&["--history"][..], &["--since", "48h"]] {
        assert!(ask(more).contains("\"ended\":true"), "{more:?}");
    }
    let emulated = objects(&collector, &["emulated", "--since", "all"]);
    assert_eq!(emulated.len(), 3, "what ran is asked for");
    let wide = printed(&collector, &["facts", "--history", "-o", "wide"]);
    assert!(wide.contains("ENDED"), "{wide}");
}

#[test]
fn sums_are_taken_by_what_is_asked_for() {
    let collector = Collector::filled();
    for (args, fields, rows) in [
        (
            &["summary"][..],
            &["arch", "mode"][..],
            &["arm64 emulated 3", "amd64 native 1", "riscv64 failed 1"][..],
        ),
        (
            &["summary", "--by", "workload,node", "--mode", "emulated"],
            &["workload", "node"],
            &["Deployment/api n1 3"],
        ),
        (&["summary", "--by", ""], &[], &["5"]),
        (
            &["summary", "--by", "mode", "--limit", "1"],
            &["mode"],
            &["emulated 3"],
        ),
    ] {
        let objects = objects(&collector, args);
        let mut found: Vec<_> = objects
            .iter()
            .map(|object| {
                let values = fields
                    .iter()
                    .map(|field| object[field].as_str().expect("a text").to_owned());
                let values: Vec<_> = values.chain([object["facts"].to_string()]).collect();
                values.join(" ")
            })
            .collect();
        found.sort_unstable();
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        assert_eq!(found, rows, "{args:?}");
        assert!(
            objects
                .iter()
                .all(|object| object["coverage"]["reporting"] == 1)
        );
    }
    let table = printed(&collector, &["summary", "--by", "mode", "--limit", "1"]);
    for word in [
        "MODE",
        "FACTS",
        "EXECS",
        "3,702",
        "and 2 more row(s)",
        "nodes: 1 reporting, 0 stale, 0 unknown",
    ] {
        assert!(table.contains(word), "{word} in\n{table}");
    }
}

#[test]
fn findings_are_told_the_worst_first() {
    let collector = Collector::filled();
    let findings = objects(&collector, &["findings"]);
    let ids: Vec<_> = findings
        .iter()
        .map(|finding| finding["finding"].as_str().expect("a text"))
        .collect();
    for id in [
        "emulated-process",
        "exec-format-error",
        "emulation-available",
    ] {
        assert!(ids.contains(&id), "{id} in {ids:?}");
    }
    let order = ["critical", "high", "medium", "low", "info"];
    let ranks: Vec<_> = findings
        .iter()
        .map(|finding| {
            order
                .iter()
                .position(|severity| finding["severity"] == *severity)
        })
        .collect();
    assert!(
        ranks.is_sorted() && ranks.iter().all(Option::is_some),
        "{findings:?}"
    );
    let high = objects(&collector, &["findings", "--severity", "high"]);
    assert!(!high.is_empty() && high.len() < findings.len());
    let one = objects(&collector, &["findings", "--finding", "exec-format-error"]);
    assert_eq!(
        (one.len(), &one[0]["subject"]),
        (1, &"Deployment/api".into())
    );
    for args in [&["findings"][..], &["findings", "-o", "wide"]] {
        let table = printed(&collector, args);
        for word in [
            "SEVERITY",
            "exec-format-error",
            "relative",
            "Deployment/api",
        ] {
            assert!(table.contains(word), "{word} in\n{table}");
        }
    }
}

#[test]
fn handlers_have_a_row_each() {
    let collector = Collector::filled();
    let handlers = objects(&collector, &["nodes", "--handlers"]);
    let [handler] = &handlers[..] else {
        panic!("one is registered")
    };
    assert_eq!(
        (
            &handler["node"],
            &handler["handler"]["name"],
            &handler["handler"]["arch"]
        ),
        (&"n1".into(), &"qemu-aarch64".into(), &"arm64".into())
    );
    for args in [
        &["nodes", "--handlers"][..],
        &["nodes", "--handlers", "-o", "wide"],
    ] {
        let table = printed(&collector, args);
        for word in ["INTERPRETER", "n1", "arm64", "/usr/bin/qemu-aarch64", "yes"] {
            assert!(table.contains(word), "{word} in\n{table}");
        }
    }
}
