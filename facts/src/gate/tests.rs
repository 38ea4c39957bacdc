mod deaths;
mod meant;

use std::time::{Duration, SystemTime};

use super::*;
use crate::arch::Arch::{Amd64, Arm64, I386};
use crate::fact::{Cause, Fact, FactKey};
use crate::fleet::NodeState;
use crate::node::{HookReport, NodeInfo, Preflight, Uncovered};

const UID: &str = "2b1a1b6e-8d3e-4c57-9a4f-0e5d2c1b3a49";

fn wanted(selector: &str, expected: Option<u64>) -> Wanted {
    Wanted {
        arch: Arm64,
        cluster: None,
        namespace: "pay".to_owned(),
        pods: Vec::new(),
        workloads: Vec::new(),
        labels: selector.parse().expect("a selector"),
        expected,
    }
}

/// A native fact of container `app` of a pod of Deployment/api, on node `n1`.
fn native(pod: &str) -> NodeFact {
    NodeFact {
        cluster: "c".to_owned(),
        node: "n1".to_owned(),
        node_arch: Arm64,
        fact: Fact {
            key: FactKey {
                cgroup: format!("/kubepods/{pod}"),
                binary: "/app".to_owned(),
                path_resolved: true,
                arch: Arm64,
                mode: Mode::Native,
                emulator: None,
                via: None,
                cause: None,
            },
            count: 1,
            processes: 0,
            cpu_ns: 0,
            first_seen: SystemTime::UNIX_EPOCH,
            last_seen: SystemTime::UNIX_EPOCH,
        },
        identity: Identity {
            namespace: "pay".to_owned(),
            pod: pod.to_owned(),
            pod_uid: UID.to_owned(),
            container: "app".to_owned(),
            container_id: format!("id-of-{pod}"),
            workload: "Deployment/api".to_owned(),
            labels: [("app".to_owned(), "api".to_owned())].into(),
            ..Identity::default()
        },
        current: true,
        ended: false,
    }
}

fn with(mut fact: NodeFact, change: impl FnOnce(&mut NodeFact)) -> NodeFact {
    change(&mut fact);
    fact
}

fn ran(mode: Mode, arch: Arch, cause: Option<Cause>) -> NodeFact {
    with(native("a"), |fact| {
        let key = &mut fact.fact.key;
        (key.mode, key.arch, key.cause) = (mode, arch, cause);
    })
}

fn reporting(nodes: u64) -> Coverage {
    Coverage {
        reporting: nodes,
        ..Coverage::default()
    }
}

fn node(preflight: Preflight) -> NodeStatus {
    NodeStatus {
        cluster: "c".to_owned(),
        info: NodeInfo {
            page_size: 4096,
            ..NodeInfo::named("n1".to_owned(), Arm64)
        },
        state: NodeState::Reporting,
        last_heard: None,
        attached_at: None,
        preflight,
        facts: 0,
        emulated_facts: 0,
        failed_facts: 0,
        emulated_processes: 0,
        losses: Vec::new(),
        health: None,
    }
}

/// The verdict, how many pods were seen and are native, and the first word of whatever speaks against it.
fn told(report: &Report) -> (Verdict, u64, u64, Vec<&'static str>) {
    let whys = report.not_native.iter().map(|(why, _)| why.as_str());
    let doubts = report.doubts.iter().map(|doubt| doubt.kind.as_str());
    (
        report.verdict,
        report.pods,
        report.native_pods,
        whys.chain(doubts).collect(),
    )
}

/// The watch began an hour after 1970.
fn known<'a>(
    deaths: &'a [NodeEvent],
    nodes: &'a [Watched<'a>],
    coverage: &'a Coverage,
) -> Known<'a> {
    Known {
        deaths,
        since: SystemTime::UNIX_EPOCH + Duration::from_secs(3600),
        nodes,
        coverage,
    }
}

fn check(
    wanted: &Wanted,
    facts: &[NodeFact],
    coverage: &Coverage,
    expected: (Verdict, u64, u64, &[&str]),
) {
    let report = decide(wanted, facts, known(&[], &[], coverage));
    let (verdict, pods, native, against) = expected;
    assert_eq!(
        told(&report),
        (verdict, pods, native, against.to_vec()),
        "{report:?}"
    );
}

#[test]
fn what_ran_decides() {
    use Verdict::{Native, NotNative};
    let failed = |cause| ran(Mode::Failed, Amd64, Some(cause));
    for (fact, verdict, why) in [
        (native("a"), Native, &[][..]),
        (ran(Mode::Emulated, Amd64, None), NotNative, &["emulated"]),
        (failed(Cause::ForeignElf), NotNative, &["failed"]),
        (failed(Cause::MissingInterpreter), NotNative, &["failed"]),
        // Whoever started it handed it to a shell.
        (failed(Cause::NoShebang), Native, &[]),
        (ran(Mode::Compat, I386, None), NotNative, &["compat"]),
        // The file could not be read: the CPU ran it all the same.
        (ran(Mode::Native, Arch::Unknown, None), Native, &[]),
        (
            with(native("a"), |fact| fact.node_arch = Amd64),
            NotNative,
            &["other_arch"],
        ),
    ] {
        let native = u64::from(verdict == Native);
        check(
            &wanted("", None),
            &[fact],
            &reporting(1),
            (verdict, 1, native, why),
        );
    }
    // One helper of one container suffices, and what is bad stays so whatever else is not known.
    let helper = with(ran(Mode::Emulated, Amd64, None), |fact| {
        fact.identity.container = "helper".to_owned();
        fact.current = false;
    });
    let facts = [native("a"), native("b"), helper];
    let expected: (_, _, _, &[_]) = (NotNative, 2, 1, &["emulated", "stale_node"]);
    check(&wanted("app=api", Some(2)), &facts, &reporting(1), {
        // Of the two pods one is on a node that reports.
        (
            expected.0,
            expected.1,
            expected.2,
            &["emulated", "too_few_pods", "stale_node"],
        )
    });
    check(&wanted("app=api", None), &facts, &reporting(1), expected);
}

#[test]
fn without_a_doubt_only() {
    use Verdict::{Native, Unknown};
    let one = [native("a")];
    let sandbox = [with(native("a"), |fact| {
        fact.identity.container = "pause".to_owned();
    })];
    let stale = [with(native("a"), |fact| fact.current = false)];
    let nameless = with(native("b"), |fact| {
        (fact.identity.namespace, fact.identity.pod) = (String::new(), String::new());
    });
    let nameless = [native("a"), nameless];
    let unlabelled = with(native("b"), |fact| {
        fact.identity.workload.clear();
        fact.identity.labels.clear();
    });
    let unlabelled = [native("a"), unlabelled];
    let silent = Coverage {
        stale: 1,
        unknown: 1,
        stale_nodes: vec!["n8".to_owned()],
        unknown_nodes: vec!["n9".to_owned()],
        ..reporting(1)
    };
    let all = reporting(1);
    for (selector, expected, facts, coverage, verdict, doubts) in [
        ("app=api", None, &one[..], &all, Native, &[][..]),
        ("", None, &[], &all, Unknown, &["too_few_pods"]),
        ("app=web", None, &one, &all, Unknown, &["too_few_pods"]),
        ("", Some(1), &one, &all, Native, &[]),
        ("", Some(2), &one, &all, Unknown, &["too_few_pods"]),
        ("", None, &sandbox, &all, Unknown, &["unseen_pod"]),
        (
            "",
            Some(1),
            &sandbox,
            &all,
            Unknown,
            &["too_few_pods", "unseen_pod"],
        ),
        ("", None, &stale, &all, Unknown, &["stale_node"]),
        (
            "",
            Some(1),
            &stale,
            &all,
            Unknown,
            &["too_few_pods", "stale_node"],
        ),
        ("", None, &one, &silent, Unknown, &["silent_nodes"]),
        ("", Some(1), &one, &silent, Native, &[]),
        (
            "",
            Some(2),
            &one,
            &silent,
            Unknown,
            &["too_few_pods", "silent_nodes"],
        ),
        ("", None, &nameless, &all, Unknown, &["unnamed_pod"]),
        ("", Some(1), &nameless, &all, Native, &[]),
        ("", None, &unlabelled, &all, Native, &[]),
        (
            "app=api",
            None,
            &unlabelled,
            &all,
            Unknown,
            &["unnamed_pod"],
        ),
        (
            "!app",
            None,
            &unlabelled,
            &all,
            Unknown,
            &["too_few_pods", "unnamed_pod"],
        ),
    ] {
        let report = decide(
            &wanted(selector, expected),
            facts,
            known(&[], &[], coverage),
        );
        let told = told(&report);
        assert_eq!(
            (told.0, &*told.3),
            (verdict, doubts),
            "{selector} {expected:?}: {report:?}"
        );
    }
}

#[test]
fn nodes_can_hide_something() {
    let hook = |name: &str, tier| HookReport {
        name: name.to_owned(),
        mechanism: String::new(),
        tier,
        proven: false,
        reasons: Vec::new(),
    };
    let hooks = |hooks: &[(&str, u32)]| Preflight {
        hooks: hooks.iter().map(|(name, tier)| hook(name, *tier)).collect(),
        ..Preflight::default()
    };
    let by_registry = |binfmt: &str| {
        let mut preflight = hooks(&[("header", 3), ("exec", 1)]);
        "registry".clone_into(&mut preflight.hooks[0].mechanism);
        binfmt.clone_into(&mut preflight.binfmt);
        preflight
    };
    let uncovered = |cgroup: &str| Preflight {
        uncovered: vec![Uncovered {
            cgroup: cgroup.to_owned(),
            runtime: "gvisor".to_owned(),
        }],
        ..Preflight::default()
    };
    let of_pod = format!("/kubepods/burstable/pod{UID}/x");
    let all = reporting(1);
    for (preflight, lost, doubts) in [
        (Preflight::default(), 0, &[][..]),
        (Preflight::default(), 3, &["lost_records"]),
        (hooks(&[("header", 3), ("fork", 0)]), 0, &[]),
        (hooks(&[("header", 0), ("exec", 1)]), 0, &["blind_node"]),
        (by_registry("registered"), 0, &[]),
        (
            by_registry("none (the kernel has not loaded binfmt_misc)"),
            0,
            &[],
        ),
        // What the kernel puts in front of files is any program then.
        (
            by_registry("binfmt_misc is not mounted"),
            0,
            &["blind_node"],
        ),
        (uncovered(&of_pod), 0, &["uncovered_pod"]),
        (uncovered("/kata_id-of-a"), 0, &["uncovered_pod"]),
        (uncovered("/kubepods/a"), 0, &["uncovered_pod"]),
        (uncovered("/kubepods/burstable/pod1234/x"), 0, &[]),
    ] {
        let status = node(preflight);
        let watched = [Watched {
            status: &status,
            lost,
            had_pods: false,
        }];
        let facts = [native("a")];
        for expected in [None, Some(1)] {
            let report = decide(&wanted("", expected), &facts, known(&[], &watched, &all));
            assert_eq!(told(&report).3, doubts, "{:?}", status.preflight);
        }
        // None of its pods is meant.
        let elsewhere = [with(native("a"), |fact| fact.node = "n2".to_owned())];
        let report = decide(&wanted("", None), &elsewhere, known(&[], &watched, &all));
        assert_eq!(report.verdict, Verdict::Native, "{report:?}");
        // One of them was, and may have done what nobody saw; what is not seen now is another's.
        let [watched] = watched;
        let watched = [Watched {
            had_pods: true,
            ..watched
        }];
        let report = decide(&wanted("", None), &elsewhere, known(&[], &watched, &all));
        let hidden = doubts.iter().filter(|doubt| **doubt != "uncovered_pod");
        assert_eq!(told(&report).3, hidden.copied().collect::<Vec<_>>());
    }
}

#[test]
fn only_what_tells_less_of_what_is_told_hides_nothing() {
    use crate::fact::Stage;
    let hiding: Vec<_> = Stage::ALL
        .iter()
        .filter(|stage| !hides(stage.as_str()))
        .collect();
    // A SIGILL is an event and nothing else: one may be among those that waited too long.
    assert_eq!(hiding, [&Stage::TaskMap, &Stage::Inspection]);
    assert!(!hides("of a newer agent"));
}
