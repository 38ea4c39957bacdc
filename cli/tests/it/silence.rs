//! Nodes that an answer cannot speak for.

use std::fs;

use archtrace_collector::fleet::Nodes;
use serde_json::Value;

use super::support::{Collector, Setup, ago};

/// `n1` was heard of four hours ago, which is too long; `n2` and `n3` should report and never did.
fn silent(list: &std::path::Path) -> Collector {
    let path = list.join("nodes");
    fs::write(&path, "c/n1\nc/n2\nc/n3\n").expect("writes");
    Collector::new(Setup {
        heard: ago(4),
        nodes: Nodes::File(path),
        ..Setup::default()
    })
}

#[test]
fn every_answer_names_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let collector = silent(dir.path());
    for args in [
        &["facts"][..],
        &["emulated", "--since", "all"],
        &["events"],
        &["summary"],
        &["findings"],
        &["images"],
        &["nodes"],
        &["status"],
        &["facts", "--pod", "no-such-pod"],
    ] {
        for output in ["table", "wide", "json"] {
            let args = [args, &["-o", output]].concat();
            let assert = collector.archtrace(&args).assert().success();
            let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
            let warned: Vec<_> = told
                .lines()
                .filter(|line| line.starts_with("warning: "))
                .collect();
            let [stale, unknown] = warned[..] else {
                panic!("{args:?}: {told}")
            };
            assert!(
                stale.contains("1 node is stale") && stale.contains("n1"),
                "{args:?}: {told}"
            );
            assert!(
                unknown.contains("2 nodes never reported")
                    && unknown.contains("n2")
                    && unknown.contains("n3"),
                "{args:?}: {told}"
            );
            let text = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
            if output == "json" {
                for line in text.lines() {
                    let object: Value = serde_json::from_str(line).expect("JSON");
                    let coverage = &object["coverage"];
                    assert_eq!(
                        (
                            &coverage["reporting"],
                            &coverage["stale"],
                            &coverage["unknown"]
                        ),
                        (&0.into(), &1.into(), &2.into()),
                        "{args:?}: {line}"
                    );
                }
            }
        }
    }
}

#[test]
fn they_are_in_the_list_of_nodes_and_beside_sums() {
    let dir = tempfile::tempdir().expect("a directory");
    let collector = silent(dir.path());
    let stdout = |args: &[&str]| {
        let assert = collector.archtrace(args).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).expect("text")
    };
    let nodes = stdout(&["nodes"]);
    for (node, state) in [("n1", "stale"), ("n2", "unknown"), ("n3", "unknown")] {
        let line = nodes.lines().find(|line| line.starts_with(node));
        assert!(
            line.is_some_and(|line| line.contains(state)),
            "{node}: {nodes}"
        );
    }
    let summary = stdout(&["summary"]);
    assert!(
        summary.contains("nodes: 0 reporting, 1 stale, 2 unknown"),
        "{summary}"
    );
    let status = stdout(&["status", "-o", "json"]);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let coverage = &status["coverage"];
    assert_eq!(
        (&coverage["source"], &coverage["stale_nodes"][0]),
        (&"file".into(), &"n1".into())
    );
}
