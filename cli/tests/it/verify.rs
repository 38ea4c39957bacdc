//! The gate: exit codes, and what is said with them.

mod silent;

use archtrace_facts::arch::Arch::{Amd64, Arm64};
use archtrace_facts::fact::{EventKind, FactKey, Mode};
use serde_json::Value;

use super::program::{end, spawn, start};
use super::records::instruction;
use super::support::fleet::{Container, Node, arm64, container};
use super::support::{Collector, ago, archtrace, event, key};

const NATIVE: (&str, archtrace_facts::arch::Arch, Mode) = ("/web", Arm64, Mode::Native);
const EMULATED: (&str, archtrace_facts::arch::Arch, Mode) = ("/opt/x", Amd64, Mode::Emulated);

/// As it is now: of Deployment/web in namespace `shop`.
const NOW: [&str; 7] = ["verify", "-n", "shop", "--arch", "arm64", "--for", "0s"];

/// The exit code, and what is on stdout and stderr.
fn run(collector: &Collector, args: &[&str]) -> (i32, String, String) {
    let assert = collector.archtrace(args).assert();
    let output = assert.get_output();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it ends by itself");
    (code, text(&output.stdout), text(&output.stderr))
}

fn check(collector: &Collector, args: &[&str], code: i32, words: &[&str]) {
    let (ended, told, also) = run(collector, args);
    assert_eq!(ended, code, "{args:?}: {told}{also}");
    for words in words {
        assert!(told.contains(words), "{args:?}: {words} in {told}");
    }
}

/// Two native pods on a node that is arm64, besides what `n1` has.
fn native() -> Collector {
    let collector = Collector::filled();
    let pods = vec![container("web-1", &[NATIVE]), container("web-2", &[NATIVE])];
    collector.report(&arm64("n2", pods));
    collector
}

#[test]
fn what_is_native_and_seen_passes() {
    let collector = native();
    let also = |more: &[&'static str]| [&NOW[..], more].concat();
    check(
        &collector,
        &NOW,
        0,
        &["native: every process of 2 pod(s) of namespace shop is native on arm64"],
    );
    for (more, code, words) in [
        (
            &["-l", "app=web,!canary", "--expect-pods", "2"][..],
            0,
            "native",
        ),
        (&["--workload", "*/web", "--pod", "web-1"], 0, "1 pod(s)"),
        (&["--cluster", "c"], 0, "2 pod(s)"),
        (
            &["--cluster", "d"],
            3,
            "no such pod was seen (too_few_pods)",
        ),
        (&["-l", "app=api"], 3, "no such pod was seen (too_few_pods)"),
        (
            &["--expect-pods", "3"],
            3,
            "2 of 3 pods were seen on nodes that report",
        ),
    ] {
        check(&collector, &also(more), code, &[words]);
    }
    let elsewhere = ["verify", "-n", "shop", "--arch", "amd64", "--for", "0s"];
    check(
        &collector,
        &elsewhere,
        2,
        &["0 of 2 pod(s)", "shop/web-1 web", "on a node that is arm64"],
    );
}

#[test]
fn what_is_not_native_is_named() {
    let collector = native();
    let helper = Container {
        facts: vec![EMULATED],
        ..container("web-3", &[])
    };
    collector.report(&arm64("n3", vec![helper]));
    let words = [
        "not_native: 2 of 3 pod(s)",
        "shop/web-3 web",
        "n3",
        "/opt/x",
        "by /usr/bin/qemu-aarch64",
    ];
    check(&collector, &NOW, 2, &words);
    // However much else is not known.
    check(
        &collector,
        &[&NOW[..], &["--expect-pods", "9"]].concat(),
        2,
        &words,
    );
    let (code, told, _) = run(&collector, &[&NOW[..], &["-o", "json"]].concat());
    let told: Value = serde_json::from_str(&told).expect("JSON");
    for (pointer, value) in [
        ("/verdict", "not_native".into()),
        ("/arch", "arm64".into()),
        ("/namespace", "shop".into()),
        ("/pods", 3.into()),
        ("/native_pods", 2.into()),
        ("/expect_pods", Value::Null),
        ("/not_native/0/why", "emulated".into()),
        ("/not_native/0/pod", "web-3".into()),
        ("/not_native/0/node", "n3".into()),
        ("/not_native/0/binary", "/opt/x".into()),
        ("/not_native/0/arch", "amd64".into()),
        ("/more_not_native", 0.into()),
        ("/doubts", Value::Array(Vec::new())),
        ("/coverage/reporting", 3.into()),
    ] {
        assert_eq!(told.pointer(pointer), Some(&value), "{pointer}: {told}");
    }
    assert_eq!(code, 2);
    // What `n1` has: emulated, refused, and all of it on amd64.
    let pay = [
        "verify", "-n", "pay", "-l", "app=api", "--arch", "amd64", "--for", "0s",
    ];
    check(
        &collector,
        &pay,
        2,
        &["/bin/running", "relative", "foreign_elf"],
    );
}

#[test]
fn what_died_of_an_instruction_is_named() {
    let collector = native();
    let pod = container("web-3", &[NATIVE]);
    let key = FactKey {
        cgroup: pod.cgroup(),
        ..key("/web", Arm64, Mode::Native)
    };
    let died = event(
        EventKind::IllegalInstruction,
        key,
        0,
        Some(instruction()),
        1,
    );
    collector.report(&Node {
        records: vec![died],
        ..arm64("n3", vec![pod])
    });
    check(
        &collector,
        &NOW,
        2,
        &[
            "not_native: 2 of 3 pod(s)",
            "shop/web-3 web",
            "/web",
            "died of SIGILL",
        ],
    );
    let (_, told, _) = run(&collector, &[&NOW[..], &["-o", "json"]].concat());
    let told: Value = serde_json::from_str(&told).expect("JSON");
    for (pointer, value) in [
        ("/verdict", "not_native".into()),
        ("/not_native", Value::Array(Vec::new())),
        ("/died/0/pod", "web-3".into()),
        ("/died/0/kind", "illegal_instruction".into()),
        ("/died/0/node", "n3".into()),
        ("/more_died", 0.into()),
    ] {
        assert_eq!(told.pointer(pointer), Some(&value), "{pointer}: {told}");
    }
    // The others are not concerned.
    let others = ["--pod", "web-1,web-2", "--expect-pods", "2"];
    check(&collector, &[&NOW[..], &others].concat(), 0, &["native"]);
}

#[test]
fn what_cannot_be_known_does_not_pass() {
    let stale = Node {
        heard: ago(9),
        ..arm64("n4", vec![container("web-4", &[NATIVE])])
    };
    let hidden = Node {
        uncovered: vec!["/kubepods/web-5/web"],
        ..arm64("n5", vec![container("web-5", &[NATIVE])])
    };
    let mut sandbox = container("web-6", &[("/pause", Arm64, Mode::Native)]);
    sandbox.identity.container = "pause".to_owned();
    let mut unlabelled = container("web-7", &[NATIVE]);
    (unlabelled.identity.workload, unlabelled.identity.labels) = (String::new(), [].into());
    for (node, pod, words) in [
        (
            stale,
            "web-4",
            "do not report, so that this is what was: n4 (stale_node)",
        ),
        (
            hidden,
            "web-5",
            "shop/web-5 runs in gvisor, where nothing is seen of it (uncovered_pod)",
        ),
        (
            arm64("n6", vec![sandbox]),
            "web-6",
            "of shop/web-6 only the sandbox was seen (unseen_pod)",
        ),
        (
            arm64("n7", vec![unlabelled]),
            "*",
            "names or labels are missing: shop/web-7 on n7 (unnamed_pod)",
        ),
    ] {
        let collector = native();
        collector.report(&node);
        let args = [&NOW[..], &["-l", "app=web", "--pod", pod]].concat();
        check(&collector, &args, 3, &["unknown", words]);
        // Pods elsewhere are not concerned.
        check(
            &collector,
            &[&NOW[..], &["--pod", "web-1", "--expect-pods", "1"]].concat(),
            0,
            &["native"],
        );
    }
}

#[test]
fn it_watches_until_something_is_not_native() {
    let collector = native();
    let args = [
        "verify", "-n", "shop", "--arch", "arm64", "--for", "1h", "-o", "json",
    ];
    let watching = start(&collector, &args);
    std::thread::sleep(std::time::Duration::from_secs(1));
    collector.report(&arm64("n3", vec![container("web-3", &[NATIVE, EMULATED])]));
    let told = watching.object();
    assert_eq!(
        (
            &told["verdict"],
            &told["not_native"][0]["pod"],
            &told["pods"]
        ),
        (&"not_native".into(), &"web-3".into(), &3.into())
    );
}

#[test]
fn a_pod_that_comes_in_time_is_waited_for() {
    let collector = Collector::filled();
    let args = [
        "verify",
        "-n",
        "shop",
        "--arch",
        "arm64",
        "--for",
        "6s",
        "--expect-pods",
        "1",
        "-o",
        "json",
    ];
    let watching = start(&collector, &args);
    std::thread::sleep(std::time::Duration::from_secs(1));
    collector.report(&arm64("n2", vec![container("web-1", &[NATIVE])]));
    let told = watching.object();
    assert_eq!(
        (&told["verdict"], &told["pods"]),
        (&"native".into(), &1.into()),
        "{told}"
    );
}

#[test]
fn a_collector_that_goes_away_leaves_it_open() {
    let mut collector = native();
    let args = [
        "verify",
        "-n",
        "shop",
        "--arch",
        "arm64",
        "--for",
        "5s",
        "--timeout",
        "1",
    ];
    let watching = spawn(&collector, &args);
    std::thread::sleep(std::time::Duration::from_secs(3));
    collector.stop();
    let (code, told) = end(watching);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("2 pod(s) seen, all native so far"), "{told}");
    assert!(told.contains("going on when it is there again"), "{told}");
    // One that never was there.
    check(&collector, &NOW, 3, &[]);
}

#[test]
fn an_interrupted_watch_does_not_pass() {
    let collector = native();
    let watching = start(
        &collector,
        &["verify", "-n", "shop", "--arch", "arm64", "--for", "1h"],
    );
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(watching.interrupt().0, Some(130));
}

#[test]
fn a_bad_option_does_not_look_like_an_answer() {
    for (args, words) in [
        (&["verify"][..], "--namespace"),
        (&["verify", "-n", "a"], "--arch"),
        (&["verify", "-n", "a", "--arch", "x86_64"], "amd64"),
        (
            &["verify", "-n", "a", "--arch", "arm64", "--for", "soon"],
            "90s or 5m",
        ),
        (
            &["verify", "-n", "a", "--arch", "arm64", "-l", "a is b"],
            "is no condition",
        ),
        (
            &["verify", "-n", "a", "--arch", "arm64", "--expect-pods", "0"],
            "--expect-pods",
        ),
        (
            &["verify", "-n", "a", "--arch", "arm64", "-o", "sarif"],
            "table, wide or json",
        ),
        (
            &[
                "verify",
                "-n",
                "a",
                "--arch",
                "arm64",
                "--server",
                "https://x",
                "--tls-ca",
                "/none",
            ],
            "--tls-ca",
        ),
    ] {
        let assert = archtrace(args).assert().code(1).stdout("");
        let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(told.contains(words), "{args:?}: {told}");
    }
}
