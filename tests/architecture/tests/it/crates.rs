//! Which crate stands on which: the column "must not" of the code map.

use std::collections::BTreeSet;

use archtrace_architecture::crates::{packages, tree};

/// What the programs are made of, and which of these each is built from. Crates of tests are in none.
const STANDS_ON: [(&str, &[&str]); 15] = [
    ("archtrace-facts", &[]),
    ("archtrace-ebpf", &[]),
    ("archtrace-cri", &[]),
    ("archtrace-audit", &["facts"]),
    ("archtrace-registry", &["facts"]),
    ("archtrace-metrics", &["facts"]),
    ("archtrace-proto", &["facts"]),
    ("archtrace-images", &["audit", "facts"]),
    ("archtrace-sink", &["facts", "proto"]),
    ("archtrace-query", &["facts", "proto"]),
    ("archtrace-export", &["facts", "query"]),
    ("archtrace-web", &["facts", "query"]),
    (
        "archtrace-agent",
        &[
            "audit", "cri", "ebpf", "facts", "metrics", "proto", "query", "sink",
        ],
    ),
    (
        "archtrace-collector",
        &[
            "export", "facts", "metrics", "proto", "query", "registry", "web",
        ],
    ),
    ("archtrace-cli", &["agent", "facts", "images", "proto"]),
];

/// What others make, and the only crates that are built from it.
const ONLY_IN: [(&str, &[&str]); 13] = [
    // Decompressors of layers.
    ("flate2", &["images"]),
    ("ruzstd", &["images"]),
    // SQL.
    ("rusqlite", &["collector"]),
    ("tokio-postgres", &["collector"]),
    ("deadpool-postgres", &["collector"]),
    // The API server.
    ("kube", &["collector"]),
    ("k8s-openapi", &["collector"]),
    // Who may read.
    ("jsonwebtoken", &["collector"]),
    // The kernel.
    ("aya", &["agent", "ebpf"]),
    ("procfs", &["agent"]),
    // A registry's and a runtime's documents.
    ("http-auth", &["registry"]),
    // Series of metrics.
    ("prometheus-client", &["collector", "metrics"]),
    ("askama", &["web"]),
];

#[test]
fn crates_stand_on_those_below_them() {
    let packages = packages();
    for (name, below) in STANDS_ON {
        let package = packages.get(name).unwrap_or_else(|| panic!("no {name}"));
        let is: BTreeSet<_> = package
            .names()
            .filter_map(|it| it.strip_prefix("archtrace-"))
            .collect();
        let should: BTreeSet<_> = below.iter().copied().collect();
        assert_eq!(is, should, "{name}");
    }
    let known: BTreeSet<_> = STANDS_ON.iter().map(|(name, _)| *name).collect();
    for (name, package) in &packages {
        let is_of_tests = package.directory.starts_with("tests/") || name == "xtask";
        assert!(
            is_of_tests || known.contains(name.as_str()),
            "{name} is in no list: which crates may it stand on?"
        );
    }
}

#[test]
fn what_one_crate_is_for_no_other_does() {
    let packages = packages();
    for (dependency, places) in ONLY_IN {
        let has = |name: &str| packages[name].names().any(|it| it == dependency);
        let names = STANDS_ON.iter().map(|(name, _)| *name);
        let is: BTreeSet<_> = names.filter(|name| has(name)).collect();
        let should: Vec<_> = places.iter().map(|it| format!("archtrace-{it}")).collect();
        let should: BTreeSet<_> = should.iter().map(String::as_str).collect();
        assert_eq!(is, should, "{dependency}");
    }
}

#[test]
fn the_agent_carries_neither_layers_nor_databases_nor_registries() {
    let tree = tree("archtrace-agent");
    for stranger in [
        "flate2",
        "ruzstd",
        "rusqlite",
        "tokio-postgres",
        "kube",
        "hyper-rustls",
        "archtrace-images",
        "archtrace-registry",
        "archtrace-web",
    ] {
        assert!(!tree.contains(stranger), "the agent has {stranger}");
    }
    for known in ["archtrace-audit", "aya", "tonic"] {
        assert!(tree.contains(known), "no {known} in {tree:?}");
    }
}

#[test]
fn the_abi_depends_on_nothing_that_is_not_asked_for() {
    let packages = packages();
    let needed = &packages["archtrace-ebpf"].dependencies;
    assert!(needed.iter().all(|it| it.is_optional), "{needed:?}");
}

#[test]
fn the_agent_cannot_change_anything_at_the_container_runtime() {
    let packages = packages();
    let mut needed = packages["archtrace-agent"].dependencies.iter();
    let cri = needed.find(|it| it.name == "archtrace-cri");
    let features = &cri.expect("the agent asks the runtime").features;
    // For tests, which play the kubelet.
    assert!(!features.iter().any(|it| it == "kubelet"), "{features:?}");
}
