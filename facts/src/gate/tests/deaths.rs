//! What died of an illegal instruction.

use super::*;
use crate::fact::{Event, IllegalInstruction, Origin};

/// A program of pod `a` died so many seconds after 1970.
fn death(seconds: u64) -> NodeEvent {
    let NodeFact {
        cluster,
        node,
        node_arch,
        fact,
        identity,
        ..
    } = native("a");
    NodeEvent {
        cluster,
        node,
        node_arch,
        stream_id: 1,
        sequence: seconds,
        record: Record::Event(Event {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            kind: EventKind::IllegalInstruction,
            pid: 7,
            comm: "app".to_owned(),
            key: fact.key,
            errno: 0,
            count: 1,
            instruction: None,
        }),
        identity,
    }
}

fn died(seconds: u64, change: impl FnOnce(&mut NodeEvent)) -> NodeEvent {
    let mut event = death(seconds);
    change(&mut event);
    event
}

#[test]
fn who_died_of_an_instruction_is_not_fine() {
    use Verdict::{Native, NotNative, Unknown};
    const BEFORE: u64 = 10;
    const DURING: u64 = 3600;
    let instruction = |origin| IllegalInstruction {
        code: 2,
        ..IllegalInstruction::unread(origin)
    };
    let by = |origin| {
        died(DURING, |event| {
            if let Record::Event(event) = &mut event.record {
                event.instruction = Some(instruction(origin));
            }
        })
    };
    let gone = |seconds| {
        died(seconds, |event| {
            event.identity.pod_uid = "of one before".to_owned();
        })
    };
    let elsewhere = died(DURING, |event| event.identity.namespace = "web".to_owned());
    let unnamed = |seconds| {
        died(seconds, |event| {
            (event.identity.namespace, event.identity.pod) = (String::new(), String::new());
        })
    };
    let other_kind = died(DURING, |event| {
        if let Record::Event(event) = &mut event.record {
            event.kind = EventKind::FailedExec;
        }
    });
    let facts = [native("a"), native("b")];
    for (what, event, verdict, native_pods, count) in [
        ("during", death(DURING), NotNative, 1, 1),
        ("before, and still there", death(BEFORE), NotNative, 1, 1),
        ("of the CPU", by(Origin::Cpu), NotNative, 1, 1),
        ("of a signal", by(Origin::Process), Native, 2, 0),
        ("replaced meanwhile", gone(DURING), NotNative, 2, 1),
        ("replaced before", gone(BEFORE), Native, 2, 0),
        ("of another namespace", elsewhere, Native, 2, 0),
        ("of nobody knows whom", unnamed(DURING), Unknown, 2, 0),
        ("of nobody knew whom", unnamed(BEFORE), Native, 2, 0),
        ("no death", other_kind, Native, 2, 0),
    ] {
        let report = decide(
            &wanted("", None),
            &facts,
            known(&[event], &[], &reporting(1)),
        );
        assert_eq!(
            (report.verdict, report.native_pods, report.died.len()),
            (verdict, native_pods, count),
            "{what}: {report:?}"
        );
    }
}

#[test]
fn what_is_left_out_is_counted() {
    let deaths: Vec<_> = (0..3).map(|i| death(3600 + i)).collect();
    let facts = [ran(Mode::Emulated, Amd64, None), native("b")];
    let coverage = reporting(1);
    let report = decide(&wanted("", Some(9)), &facts, known(&deaths, &[], &coverage));
    let told = report.clone().listed(2);
    assert_eq!((told.died.len(), told.more_died), (2, 1));
    assert_eq!((told.not_native.len(), told.more_not_native), (1, 0));
    assert_eq!(report.clone().listed(3), report);
    let none = report.listed(0);
    assert_eq!(
        (none.more_not_native, none.more_died, none.more_doubts),
        (1, 3, 1)
    );
    assert_eq!(none.verdict, Verdict::NotNative);
}
