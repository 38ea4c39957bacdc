use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::fact::{Event, EventKind, Fact, HandlerChangeKind};
use crate::node::Handler;
use crate::report::{HandlerChange, ReportedLoss};
use crate::select::parse::parse;

fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
}

fn key() -> FactKey {
    FactKey {
        cgroup: "/kubepods/a".to_owned(),
        binary: "/usr/bin/app".to_owned(),
        path_resolved: true,
        arch: Arch::Arm64,
        mode: Mode::Emulated,
        emulator: Some("/usr/bin/qemu-aarch64".to_owned()),
        via: Some(Via::BinfmtMisc),
        cause: None,
    }
}

fn identity() -> Identity {
    Identity {
        namespace: "shop".to_owned(),
        pod: "api-0".to_owned(),
        container: "app".to_owned(),
        image: "registry/api:1".to_owned(),
        workload: "Deployment/api".to_owned(),
        ..Identity::default()
    }
}

fn fact() -> NodeFact {
    NodeFact {
        cluster: "prod".to_owned(),
        node: "node-1".to_owned(),
        node_arch: Arch::Amd64,
        fact: Fact {
            key: key(),
            count: 10,
            processes: 2,
            cpu_ns: 1_500_000_000,
            first_seen: at(100),
            last_seen: at(200),
        },
        identity: identity(),
        current: true,
        ended: false,
    }
}

fn event(record: Record) -> NodeEvent {
    let is_event = matches!(record, Record::Event(_));
    NodeEvent {
        cluster: "prod".to_owned(),
        node: "node-1".to_owned(),
        node_arch: Arch::Amd64,
        stream_id: 1,
        sequence: 0,
        record,
        identity: if is_event {
            identity()
        } else {
            Identity::default()
        },
    }
}

fn exec() -> NodeEvent {
    event(Record::Event(Event {
        time: at(200),
        kind: EventKind::EmulatedExec,
        pid: 42,
        comm: "sh".to_owned(),
        key: key(),
        errno: 0,
        count: 3,
        instruction: None,
    }))
}

fn loss() -> NodeEvent {
    event(Record::Loss(ReportedLoss {
        stage: "ring_buffer".to_owned(),
        count: 7,
        since: at(1),
        until: at(200),
        range: None,
    }))
}

fn handler() -> NodeEvent {
    event(Record::Handler(HandlerChange {
        time: at(200),
        kind: HandlerChangeKind::Added,
        handler: Handler {
            name: "qemu".to_owned(),
            enabled: true,
            interpreter: "/qemu".to_owned(),
            flags: String::new(),
            arch: Some(Arch::Arm64),
            since: None,
        },
    }))
}

/// What holds for the fact, the event, the loss and the change of a handler.
fn check(text: &str, expected: [bool; 4]) {
    let selection = Selection {
        expression: Some(parse(text).expect(text)),
        ..Selection::default()
    };
    let told = [
        selection.matches_fact(&fact()),
        selection.matches_event(&exec()),
        selection.matches_event(&loss()),
        selection.matches_event(&handler()),
    ];
    assert_eq!(told, expected, "{text}");
}

const T: bool = true;
const F: bool = false;

#[test]
fn expressions() {
    for (text, expected) in [
        ("cluster=prod node=node-* node_arch=amd64", [T, T, T, T]),
        ("namespace=shop", [T, T, F, F]),
        ("namespace=Shop", [F, F, F, F]),
        ("namespace!=shop", [F, F, T, T]),
        ("namespace:*", [T, T, F, F]),
        ("namespace=*", [T, T, T, T]),
        ("namespace=\"\"", [F, F, T, T]),
        ("workload:/ap", [T, T, F, F]),
        ("workload:*a", [F, F, F, F]),
        ("arch=arm64", [T, T, F, T]),
        ("mode=emulated via=binfmt_misc cause=\"\"", [T, T, F, F]),
        ("emulator=*aarch64", [T, T, F, F]),
        ("kind=\"\"", [T, F, F, F]),
        ("kind=loss", [F, F, T, F]),
        ("kind=handler_added", [F, F, F, T]),
        ("stage=ring_buffer", [F, F, T, F]),
        ("comm=sh", [F, T, F, F]),
        ("count>=7", [T, F, T, F]),
        ("count<7", [F, T, F, F]),
        ("count!=7", [T, T, F, T]),
        ("NOT count=7", [T, T, F, T]),
        ("cpu>=1.5s", [T, F, F, F]),
        ("cpu>1.5s", [F, F, F, F]),
        ("processes>1", [T, F, F, F]),
        ("pid=42 errno=0", [F, T, F, F]),
        ("time=1970-01-01T00:03:20Z", [F, T, T, T]),
        ("last_seen<=1970-01-01T00:03:20Z", [T, F, F, F]),
        ("first_seen>1970-01-01T00:01:40Z", [F, F, F, F]),
        ("pod=x OR count=10", [T, F, F, F]),
    ] {
        check(text, expected);
    }
}

#[test]
fn filters() {
    let filter = |edit: fn(&mut Filter)| {
        let mut filter = Filter::default();
        edit(&mut filter);
        filter
    };
    for (filter, expected) in [
        (filter(|_| ()), [T, T, T, T]),
        (
            filter(|f| f.clusters = vec!["x".into(), "pr*".into()]),
            [T, T, T, T],
        ),
        (filter(|f| f.namespaces = vec!["shop".into()]), [T, T, F, F]),
        (filter(|f| f.namespaces = vec!["*".into()]), [T, T, T, T]),
        (
            filter(|f| f.modes = vec![Mode::Failed, Mode::Emulated]),
            [T, T, F, F],
        ),
        (filter(|f| f.modes = vec![Mode::Failed]), [F, F, F, F]),
        (filter(|f| f.archs = vec![Arch::Arm64]), [T, T, F, T]),
        (filter(|f| f.node_archs = vec![Arch::Arm64]), [F, F, F, F]),
        (filter(|f| f.since = Some(at(200))), [T, T, T, T]),
        (filter(|f| f.since = Some(at(201))), [F, F, F, F]),
        (
            filter(|f| {
                f.workloads = vec!["Deployment/*".into()];
                f.pods = vec!["other".into()];
            }),
            [F, F, F, F],
        ),
        (filter(|f| f.images = vec!["*:1".into()]), [T, T, F, F]),
        (
            filter(|f| f.binaries = vec!["/usr/*/app".into()]),
            [T, T, F, F],
        ),
        (filter(|f| f.containers = vec!["app".into()]), [T, T, F, F]),
    ] {
        for is_denied in [false, true] {
            let (allow, deny) = (vec![filter.clone()], Vec::new());
            let (allow, deny) = if is_denied {
                (deny, allow)
            } else {
                (allow, deny)
            };
            let selection = Selection {
                allow,
                deny,
                expression: None,
            };
            let told = [
                selection.matches_fact(&fact()),
                selection.matches_event(&exec()),
                selection.matches_event(&loss()),
                selection.matches_event(&handler()),
            ];
            assert_eq!(
                told,
                expected.map(|holds| holds != is_denied),
                "{selection:?}"
            );
        }
    }
}

/// As it is defined: slow, and easy to see through.
fn like(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|skipped| like(rest, &text[skipped..])),
        Some((c, rest)) => text.first() == Some(c) && like(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn stars_stand_for_anything(pattern in "[ab*ж]{0,6}", text in "[abж]{0,8}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(wildcard(&pattern, &text), like(&chars(&pattern), &chars(&text)));
    }
}

#[test]
fn what_is_about_other_modes_leaves_one_out() {
    let modes = |modes: &[Mode]| Filter {
        modes: modes.to_vec(),
        ..Filter::default()
    };
    let (native, emulated) = (modes(&[Mode::Native]), modes(&[Mode::Emulated]));
    let of_a_node = Filter {
        nodes: vec!["n".to_owned()],
        ..native.clone()
    };
    for (allow, deny, expected) in [
        (vec![], vec![], false),
        (vec![native.clone()], vec![], false),
        (vec![emulated.clone()], vec![], true),
        (vec![emulated.clone(), native.clone()], vec![], false),
        (vec![emulated.clone(), Filter::default()], vec![], false),
        (vec![], vec![native], true),
        (vec![], vec![emulated], false),
        (vec![], vec![of_a_node], false),
    ] {
        let selection = Selection {
            allow,
            deny,
            expression: None,
        };
        assert_eq!(
            selection.leaves_out(Mode::Native),
            expected,
            "{selection:?}"
        );
    }
}
