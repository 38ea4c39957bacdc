//! Nodes that do not report: what they leave open.

use std::fs;

use archtrace_collector::fleet::Nodes;
use tempfile::TempDir;

use super::super::support::fleet::{arm64, container};
use super::super::support::{Collector, Setup};
use super::{NATIVE, NOW, check, run};

/// Of the nodes on a list, one reports, with a native pod. The list is there as long as what comes with it.
fn only_n2_of(list: &str) -> (TempDir, Collector) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("nodes");
    fs::write(&path, list).expect("writes");
    let collector = Collector::new(Setup {
        nodes: Nodes::File(path),
        ..Setup::default()
    });
    collector.report(&arm64("n2", vec![container("web-1", &[NATIVE])]));
    (dir, collector)
}

#[test]
fn silent_nodes_leave_open_whether_there_are_more() {
    let (_list, collector) = only_n2_of("c/n1\nc/n2\nc/n9\n");
    check(
        &collector,
        &NOW,
        3,
        &[
            "1 node(s) do not report",
            "n9",
            "--expect-pods",
            "silent_nodes",
        ],
    );
    check(
        &collector,
        &[&NOW[..], &["--expect-pods", "1"]].concat(),
        0,
        &["native"],
    );
    let (_, _, warned) = run(&collector, &NOW);
    assert!(
        warned.contains("warning: 1 node never reported"),
        "{warned}"
    );
}

#[test]
fn silent_nodes_of_other_clusters_hide_no_pods_of_this_one() {
    let (_list, collector) = only_n2_of("c/n2\nother/n9\n");
    check(&collector, &NOW, 3, &["n9", "silent_nodes"]);
    let of_cluster = [&NOW[..], &["--cluster", "c"]].concat();
    check(&collector, &of_cluster, 0, &["native"]);
    let (_, _, warned) = run(&collector, &of_cluster);
    assert_eq!(warned, "");
}
