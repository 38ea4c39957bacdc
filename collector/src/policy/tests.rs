use std::time::Duration;

use super::read::policy;
use super::*;
use crate::watched::LOOK;
use archtrace_facts::arch::Arch;
use archtrace_facts::policy::Version;

/// One agent, and what follows its match.
fn agent(more: &str) -> String {
    format!("agents:\n- name: a\n  match: {{namespace: x}}\n{more}")
}

/// What is said of a policy: where, and what.
fn told(text: &str) -> String {
    match policy(text) {
        Ok(_) => "fine".to_owned(),
        Err(wrong) => format!("{}: {}", wrong.line, wrong.what),
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_the_remedy() {
    let waiver = |more: &str| agent(&format!("  waivers:\n  - owner: o\n    reason: r\n{more}"));
    for (text, expected) in [
        (agent(""), "fine"),
        (
            String::new(),
            "1: names no agent, so that everything would be fine; name one under agents, or start without \
             --policy",
        ),
        (
            "agents: []\n".to_owned(),
            "1: names no agent, so that everything would be fine; name one under agents, or start without \
             --policy",
        ),
        (
            "agent: []\n".to_owned(),
            "1: unknown field `agent`, expected one of agents; correct its spelling, or leave it out",
        ),
        (
            agent("  wavers: []\n"),
            "4: unknown field `wavers`, expected one of name, match, nodes, certified, waivers; \
             correct its spelling, or leave it out",
        ),
        (
            "agents:\n- match: {namespace: x}\n".to_owned(),
            "2: an agent without name; add one, such as name: falcon",
        ),
        (
            "agents:\n- name: a\n".to_owned(),
            "2: agent 'a' without match; say how its processes are known, such as match: {workload: \
             DaemonSet/a}",
        ),
        (
            "agents:\n- name: a\n  match: {}\n".to_owned(),
            "3: match: has no condition, so that every process would be this agent; give one of namespace, \
             labels, image, workload, unit or executable",
        ),
        (
            agent("- name: b\n  match:\n    namespace: x*\n"),
            "6: match: overlaps that of 'a', so that one process would be both; add a condition to the wider \
             of both, or give them other nodes",
        ),
        (
            agent("- name: a\n  match: {namespace: y}\n"),
            "4: name: 'a' is there twice; give each agent a name of its own",
        ),
        (
            waiver(""),
            "5: a waiver without expires; add one, such as expires: 2027-03-31",
        ),
        (
            waiver("    expires: soon\n"),
            "7: expires: 'soon' is no day such as 2027-03-31 (it ends with that day, in UTC), nor a time such \
             as 2027-03-31T12:00:00Z",
        ),
        (
            waiver("    expires: 2027-03-31\n    statuses: [stale]\n"),
            "5: waiver: STALE cannot be waived: of a node that does not report nothing is known, and that is \
             no state to get used to; take it out of the list of nodes that should report, or leave it out \
             of statuses, which may be EMULATED, FAILING, UNCERTIFIED, MISSING",
        ),
        (
            waiver("    expires: 2027-03-31\n    statuses: [broken]\n"),
            "8: statuses: 'BROKEN' is no status; the known ones are NATIVE, WAIVED, UNCERTIFIED, MISSING, \
             EMULATED, FAILING, STALE, UNKNOWN",
        ),
        (
            waiver("    expires: 2027-03-31\n    statuses: [emulated]\n"),
            "fine",
        ),
        (
            agent("  nodes:\n    archs: [arm64, x86_64]\n"),
            "5: 'x86_64' is no architecture; use Kubernetes' words, such as arm64 or amd64",
        ),
        (
            agent("  certified:\n    aarch64: [\"1\"]\n"),
            "5: certified: 'aarch64' is no architecture; use Kubernetes' words, such as arm64 or amd64",
        ),
        (
            agent("  certified:\n    arm64: [\"1\", \"sha256:12\"]\n"),
            "5: certified.arm64: 'sha256:12' is no digest: sha256: is followed by 64 hex digits in lower case",
        ),
        (
            agent("  certified:\n    arm64:\n    - r/falcon:1\n"),
            "6: certified.arm64: 'r/falcon:1' is neither a tag such as 7.18.0 or 7.18.* nor a digest, sha256: \
             and 64 hex digits; names of images belong into match",
        ),
        (
            "agents:\n- name: a\n  match: {namespace: \"\"}\n".to_owned(),
            "3: namespace is empty; give a value, or leave it out",
        ),
        (
            "agents:\n- name: \"\\e[2J\"\n".to_owned(),
            "2: name holds characters that are not printable; leave them out",
        ),
    ] {
        assert_eq!(told(&text), expected, "{text}");
    }
}

#[test]
fn texts_that_are_no_yaml_are_told_with_their_line() {
    for (text, line) in [
        ("agents:\n- name: [\n", 0),
        ("agents: 7\n", 1),
        ("agents:\n- name: a\n  name: b\n", 3),
        ("agents:\n- name: a\n\tmatch: {}\n", 2),
        ("- a\n- b\n", 1),
        ("a: &x [*x]\n", 1),
    ] {
        let wrong = policy(text).expect_err(text);
        assert!(line == 0 || wrong.line == line, "{text}: {wrong:?}");
        assert!(wrong.what.contains("; "), "{wrong:?}");
        assert!(
            !wrong.what.contains(" at line ") && !wrong.what.contains('\n'),
            "{wrong:?}"
        );
    }
}

#[test]
fn numbers_are_the_versions_that_they_look_like() {
    let read = policy(&agent("  certified: {arm64: [7.10, 1]}\n")).expect("a policy");
    let certified = read.agents[0].certified.as_ref().expect("some");
    let tags = ["7.10", "1"].map(|tag| Version::Tag(tag.to_owned()));
    assert_eq!(certified[&Arch::Arm64], tags);
}

#[tokio::test]
async fn the_example_is_a_policy() {
    let path = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/policy.example.yaml"
    ));
    let read = check(path).await.expect("a policy").policy;
    let names: Vec<_> = read
        .agents
        .iter()
        .map(|agent| agent.name.as_str())
        .collect();
    assert_eq!(names, ["falcon", "node-exporter", "auditd", "osquery"]);
    assert_eq!(
        (read.agents[0].waivers.len(), read.has_digests()),
        (1, true)
    );
}

#[test]
fn the_schema_is_that_of_the_types() {
    const SCHEMA: &str = include_str!("../../../docs/policy.schema.json");
    let schema = schemars::schema_for!(document::Document);
    let text = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
    if std::env::var_os("ARCHTRACE_WRITE_DOCS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.schema.json");
        std::fs::write(path, text).expect("the schema is written");
    } else {
        assert!(
            SCHEMA == text,
            "docs/policy.schema.json is not what the types say; write it anew with \
             `cargo xtask docs --write`"
        );
    }
}

#[tokio::test]
async fn a_changed_policy_is_read_and_a_wrong_one_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("policy.yaml");
    let over = CancellationToken::new();
    let missing = start(Some(path.clone()), over.clone()).await;
    let missing = missing.expect_err("not there").to_string();
    assert!(missing.contains("check --policy"), "{missing}");
    std::fs::write(&path, agent("")).expect("written");
    let started = start(Some(path.clone()), over.clone()).await;
    let Ok(Mandates::Of(policies)) = started else {
        panic!("{started:?}")
    };
    let names = || {
        let policy = policies.policy();
        let names = policy.policy.agents.iter().map(|agent| agent.name.clone());
        names.collect::<Vec<_>>().join(",")
    };
    let wrong = format!("{}:2: an agent without name", path.display());
    let other = agent("- name: b\n  match: {unit: b.service}\n");
    for (text, agents, problem) in [
        ("agents:\n- {}\n", "a", wrong.as_str()),
        (&other, "a,b", ""),
        ("", "a,b", "names no agent"),
        (&agent(""), "a", ""),
    ] {
        std::fs::write(&path, text).expect("written");
        let is_told = || {
            let told = policies.problem();
            names() == agents && told.contains(problem) && told.is_empty() == problem.is_empty()
        };
        let wanted = async {
            while !is_told() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(10 * LOOK + Duration::from_secs(40), wanted)
            .await
            .unwrap_or_else(|_| panic!("{text}: {} {}", names(), policies.problem()));
    }
    over.cancel();
}
