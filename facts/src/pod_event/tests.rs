use proptest::prelude::*;

use super::*;
use crate::arch::Arch;
use crate::fact::{Cause, FactKey, HandlerChangeKind, Mode, Via};
use crate::identity::Identity;
use crate::node::Handler;
use crate::report::{HandlerChange, ReportedLoss};

/// What is another one about an event.
type Edit = fn(&mut NodeEvent);

const UID: &str = "8a8d5f6e-0000-4000-8000-000000000001";

fn happened(kind: EventKind, errno: i32, change: impl FnOnce(&mut NodeEvent)) -> NodeEvent {
    let mode = match kind {
        EventKind::EmulatedExec => Mode::Emulated,
        EventKind::FailedExec => Mode::Failed,
        EventKind::IllegalInstruction => Mode::Native,
    };
    let event = Event {
        time: SystemTime::UNIX_EPOCH,
        kind,
        pid: 7,
        comm: "sh".to_owned(),
        key: FactKey {
            cgroup: "/x".to_owned(),
            binary: "/app/hsm".to_owned(),
            path_resolved: true,
            arch: Arch::Amd64,
            mode,
            emulator: (mode == Mode::Emulated).then(|| "/usr/bin/qemu-x86_64".to_owned()),
            via: (mode == Mode::Emulated).then_some(Via::BinfmtMisc),
            cause: (mode == Mode::Failed).then_some(Cause::ForeignElf),
        },
        errno,
        count: 3,
        instruction: None,
    };
    let mut happened = NodeEvent {
        cluster: String::new(),
        node: "n".to_owned(),
        node_arch: Arch::Arm64,
        stream_id: 1,
        sequence: 1,
        identity: Identity {
            namespace: "pay".to_owned(),
            pod: "api-7c9-x2k4z".to_owned(),
            container: "hsm".to_owned(),
            pod_uid: UID.to_owned(),
            ..Identity::default()
        },
        record: Record::Event(event),
    };
    change(&mut happened);
    happened
}

fn emulated(change: impl FnOnce(&mut NodeEvent)) -> NodeEvent {
    happened(EventKind::EmulatedExec, 0, change)
}

#[test]
fn what_happens_in_a_pod_and_matters_becomes_an_event() {
    for (kind, errno, reason) in [
        (EventKind::EmulatedExec, 0, Ok(Reason::EmulatedExec)),
        (EventKind::FailedExec, 8, Ok(Reason::ExecFormatError)),
        (EventKind::FailedExec, 2, Err(NoEvent::OtherKind)),
        (
            EventKind::IllegalInstruction,
            0,
            Ok(Reason::IllegalInstruction),
        ),
    ] {
        let told = PodEvent::of(&happened(kind, errno, |_| {}));
        assert_eq!(told.map(|told| told.reason), reason, "{kind} {errno}");
    }
    let told = PodEvent::of(&emulated(|_| {})).expect("one");
    assert_eq!(
        told.message,
        "container hsm: /app/hsm: emulated by /usr/bin/qemu-x86_64"
    );
    assert_eq!((told.count, told.namespace.as_str()), (3, "pay"));
    assert_eq!(
        (told.pod.as_str(), told.pod_uid.as_str()),
        ("api-7c9-x2k4z", UID)
    );
    let refused: &[(Edit, NoEvent)] = &[
        (|e| e.identity.pod_uid.clear(), NoEvent::OtherKind),
        (|e| e.identity.pod.clear(), NoEvent::NoName),
        (|e| e.identity.namespace.clear(), NoEvent::NoName),
        (
            |e| e.identity.namespace = "a/../b".to_owned(),
            NoEvent::Invalid,
        ),
        (
            |e| e.identity.namespace = "a.b".to_owned(),
            NoEvent::Invalid,
        ),
        (|e| e.identity.namespace = "a".repeat(64), NoEvent::Invalid),
        (|e| e.identity.pod = "a..b".to_owned(), NoEvent::Invalid),
        (|e| e.identity.pod = "-a".to_owned(), NoEvent::Invalid),
        (|e| e.identity.pod = "A".to_owned(), NoEvent::Invalid),
        (|e| e.identity.pod = "a?b".to_owned(), NoEvent::Invalid),
        (|e| e.identity.pod = "a".repeat(254), NoEvent::Invalid),
        (
            |e| {
                e.record = Record::Loss(ReportedLoss {
                    stage: "spool".to_owned(),
                    count: 1,
                    since: SystemTime::UNIX_EPOCH,
                    until: SystemTime::UNIX_EPOCH,
                    range: None,
                });
            },
            NoEvent::OtherKind,
        ),
        (
            |e| {
                e.record = Record::Handler(HandlerChange {
                    time: SystemTime::UNIX_EPOCH,
                    kind: HandlerChangeKind::Added,
                    handler: Handler {
                        name: "qemu".to_owned(),
                        enabled: true,
                        interpreter: "/q".to_owned(),
                        flags: String::new(),
                        arch: None,
                        since: None,
                    },
                });
            },
            NoEvent::OtherKind,
        ),
    ];
    for (change, why) in refused {
        assert_eq!(PodEvent::of(&emulated(change)).err(), Some(*why));
    }
}

#[test]
fn names_follow_from_what_it_is_about_and_from_nothing_else() {
    let name = |event: NodeEvent| PodEvent::of(&event).expect("one").name;
    let first = name(emulated(|_| {}));
    // Other nodes' agents, other times and other counts are the same thing.
    let same = emulated(|event| {
        event.node = "m".to_owned();
        event.sequence = 9;
        if let Record::Event(event) = &mut event.record {
            (event.count, event.pid) = (99, 8);
        }
    });
    assert_eq!(name(same), first);
    let binary = |event: &mut NodeEvent| {
        if let Record::Event(event) = &mut event.record {
            event.key.binary = "/app/other".to_owned();
        }
    };
    let others = [
        name(emulated(binary)),
        name(emulated(|event| {
            event.identity.pod_uid = UID.replace('1', "2");
        })),
        name(happened(EventKind::IllegalInstruction, 0, |_| {})),
    ];
    assert!(
        others.iter().all(|other| *other != first),
        "{first} {others:?}"
    );
    assert!(first.starts_with("api-7c9-x2k4z."), "{first}");
    // A name that is cut at a dash.
    let long = format!("{}-{}", "a".repeat(229), "b".repeat(23));
    let long = name(emulated(|event| event.identity.pod = long));
    assert!(is_subdomain(&long) && long.len() <= 253, "{long}");
}

#[test]
fn messages_are_cut_where_the_api_would_refuse_them() {
    let long = emulated(|event| {
        if let Record::Event(event) = &mut event.record {
            event.key.binary = "ü".repeat(2000);
        }
    });
    let message = PodEvent::of(&long).expect("one").message;
    assert!(
        (1020..=MAX_MESSAGE).contains(&message.len()),
        "{}",
        message.len()
    );
    assert!(message.ends_with("ü..."));
}

fn of_pod(number: u32) -> PodEvent {
    PodEvent {
        name: format!("p{number}"),
        pod_uid: format!("u{number}"),
        ..PodEvent::of(&emulated(|_| {})).expect("one")
    }
}

#[test]
fn one_series_is_written_every_five_minutes() {
    let mut ledger = Ledger::default();
    let event = of_pod(1);
    for (seconds, expected) in [
        (0, Decision::Create),
        (1, Decision::Merge),
        (299, Decision::Merge),
        (300, Decision::Update),
        (599, Decision::Merge),
        (700, Decision::Update),
        // A clock that goes back is none of ours, and harms nobody.
        (1, Decision::Merge),
    ] {
        assert_eq!(
            ledger.decide(&event, Duration::from_secs(seconds)),
            expected,
            "{seconds}"
        );
    }
}

#[test]
fn all_series_together_have_a_rate() {
    let mut ledger = Ledger::default();
    let mut written = |from: u32, at: u64| {
        let events = (from..from + 1000).map(of_pod);
        let decided = events.map(|event| ledger.decide(&event, Duration::from_secs(at)));
        decided
            .filter(|decided| *decided == Decision::Create)
            .count()
    };
    assert_eq!(written(0, 0), 100);
    assert_eq!(written(1000, 0), 0);
    assert_eq!(written(1000, 2), 10);
    // What was left out is not taken for written.
    assert_eq!(written(1010, 4), 10);
    assert_eq!(written(2000, 10_000), 100);
}

/// One pod starts thousands of files.
#[test]
fn a_pod_has_a_tenth_and_takes_nothing_from_others() {
    let mut ledger = Ledger::default();
    let mut written = |events: u32, uid: &str, at: u64| {
        let events = (0..events).map(|number| PodEvent {
            name: format!("{uid}-{at}-{number}"),
            pod_uid: uid.to_owned(),
            ..of_pod(0)
        });
        let decided = events.map(|event| ledger.decide(&event, Duration::from_secs(at)));
        decided
            .filter(|decided| *decided == Decision::Create)
            .count()
    };
    assert_eq!(written(1000, "busy", 0), 10);
    assert_eq!(written(1000, "busy", 4), 2);
    assert_eq!(written(3, "quiet", 4), 3);
    assert_eq!(written(1000, "busy", 1000), 10);
    // However many pods there are, no more than some are remembered.
    for number in 0..20_000_u64 {
        written(2, &format!("u{number}"), 1000 + number);
    }
    assert!(ledger.shares.len() <= MAX_SHARES, "{}", ledger.shares.len());
}

#[test]
fn what_was_not_written_is_not_taken_for_written() {
    let mut ledger = Ledger::default();
    let (event, at) = (of_pod(1), Duration::from_secs);
    assert_eq!(ledger.decide(&event, at(0)), Decision::Create);
    ledger.forget(&event);
    assert_eq!(ledger.decide(&event, at(1)), Decision::Create);
    assert_eq!(ledger.decide(&event, at(2)), Decision::Merge);
}

#[test]
fn what_is_remembered_has_a_bound_and_goes_with_its_time() {
    let mut ledger = Ledger::default();
    for number in 0..u32::try_from(MAX_SERIES).expect("fits") {
        ledger
            .series
            .insert(format!("p{number}"), Duration::from_secs(1));
    }
    let new = of_pod(1_000_000);
    let at = |seconds| Duration::from_secs(seconds);
    assert_eq!(ledger.decide(&new, at(2)), Decision::TooMany);
    assert_eq!(ledger.decide(&of_pod(5), at(400)), Decision::Update);
    assert_eq!(ledger.decide(&new, at(3601)), Decision::Create);
    assert_eq!(ledger.series.len(), 2);
}

proptest! {
    #[test]
    fn whatever_is_told_names_a_valid_object(namespace in "[a-z0-9./-]{0,70}", pod in "[a-z0-9.-]{0,260}") {
        let event = emulated(|event| {
            event.identity.namespace = namespace;
            event.identity.pod = pod;
        });
        if let Ok(told) = PodEvent::of(&event) {
            prop_assert!(is_label(&told.namespace) && is_subdomain(&told.name), "{:?}", told);
            prop_assert!(told.name.len() <= 253);
        }
    }
}
