//! What peers send that are hostile, older or newer: refused with a reason, or understood.

use archtrace_facts::fact::{Cause, Fact, FactKey, Via};
use archtrace_facts::node::{NodeInfo, Preflight};
use archtrace_facts::report::{EventBatch, Hello, Record, StateUpdate};
use archtrace_proto::v1;

fn before_1970(fact: &mut v1::Fact) {
    fact.first_seen = Some(prost_types::Timestamp {
        seconds: -1,
        nanos: 0,
    });
}

#[test]
fn errors_name_the_field() {
    let good = v1::Fact {
        id: Vec::new(),
        key: Some(v1::FactKey {
            arch: "arm64".to_owned(),
            mode: 3,
            ..Default::default()
        }),
        first_seen: Some(prost_types::Timestamp {
            seconds: 1,
            nanos: 0,
        }),
        last_seen: Some(prost_types::Timestamp {
            seconds: 1,
            nanos: 0,
        }),
        ..Default::default()
    };
    let update = |edit: fn(&mut v1::Fact)| {
        let mut fact = good.clone();
        let key = FactKey::try_from(fact.key.clone().expect("just set")).expect("a good key");
        fact.id = key.id().0.to_vec();
        edit(&mut fact);
        let update = v1::StateUpdate {
            kind: 3,
            upserts: vec![fact],
            ..Default::default()
        };
        StateUpdate::try_from(update)
            .err()
            .map_or(String::new(), |error| error.to_string())
    };
    for (edit, error) in [
        ((|_| ()) as fn(&mut v1::Fact), ""),
        (|fact| fact.key = None, "upserts[0].key: is missing"),
        (|fact| fact.id.clear(), "upserts[0].id: has 0 bytes, not 16"),
        (
            |fact| fact.id[0] ^= 1,
            "upserts[0].id: is not the one that follows from the key",
        ),
        (
            |fact| fact.last_seen = None,
            "upserts[0].last_seen: is missing",
        ),
        (
            before_1970,
            "upserts[0].first_seen: is no time between the years 1970 and 2262",
        ),
        (
            |fact| {
                if let Some(key) = &mut fact.key {
                    key.cgroup = "\x1b[31m".to_owned();
                }
            },
            "upserts[0].key.cgroup: holds characters that are not printable; write them as \\xNN",
        ),
        (
            |fact| fact.key.iter_mut().for_each(|key| key.mode = 9),
            "upserts[0].key.mode: 9 is no execution mode that this version knows",
        ),
        (
            |fact| fact.key.iter_mut().for_each(|key| key.mode = 0),
            "upserts[0].key.mode: is missing",
        ),
    ] {
        assert_eq!(update(edit), error);
    }
    let hello = v1::Hello {
        event_stream_id: 0,
        ..Default::default()
    };
    let error = Hello::try_from(hello).expect_err("reserved").to_string();
    assert_eq!(error, "event_stream_id: is 0, which is the collector's own");
}

/// Second `seconds` of 1970.
fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

/// A batch of one record, as its error tells it; empty if there is none.
fn refusal(record: v1::event_record::Record) -> String {
    let batch = v1::EventBatch {
        records: vec![v1::EventRecord {
            record: Some(record),
        }],
        ..Default::default()
    };
    EventBatch::try_from(batch)
        .err()
        .map_or(String::new(), |error| error.to_string())
}

#[test]
fn instructions_are_checked() {
    let good = v1::IllegalInstruction {
        origin: v1::SignalOrigin::Cpu.into(),
        bytes: vec![0x0f; 16],
        mnemonic: "ud2".to_owned(),
        ..Default::default()
    };
    let key = v1::FactKey {
        arch: "arm64".to_owned(),
        mode: 1,
        ..Default::default()
    };
    for (edit, error) in [
        ((|_| ()) as fn(&mut v1::IllegalInstruction), ""),
        (|i| i.origin = 0, "origin: is missing"),
        (
            |i| i.origin = 9,
            "origin: 9 is no origin of a signal that this version knows",
        ),
        (|i| i.bytes.push(0), "bytes: has 17 bytes, not 16 at most"),
        (
            |i| i.mnemonic.push('\n'),
            "mnemonic: holds characters that are not printable; write them as \\xNN",
        ),
        (
            |i| i.extension.push('\u{202e}'),
            "extension: holds characters that are not printable; write them as \\xNN",
        ),
        (
            |i| i.module.push('\x1b'),
            "module: holds characters that are not printable; write them as \\xNN",
        ),
    ] {
        let mut instruction = good.clone();
        edit(&mut instruction);
        let event = v1::Event {
            time: at(1),
            kind: v1::EventKind::IllegalInstruction.into(),
            key: Some(key.clone()),
            instruction: Some(instruction),
            ..Default::default()
        };
        let within = if error.is_empty() {
            String::new()
        } else {
            format!("records[0].event.instruction.{error}")
        };
        assert_eq!(refusal(v1::event_record::Record::Event(event)), within);
    }
}

#[test]
fn changes_of_handlers_are_checked() {
    let good = v1::HandlerChange {
        time: at(1),
        kind: v1::HandlerChangeKind::Added.into(),
        handler: Some(v1::BinfmtHandler::default()),
    };
    for (edit, error) in [
        ((|_| ()) as fn(&mut v1::HandlerChange), ""),
        (|change| change.time = None, "time: is missing"),
        (|change| change.kind = 0, "kind: is missing"),
        (
            |change| change.kind = 9,
            "kind: 9 is no change of a handler that this version knows",
        ),
        (|change| change.handler = None, "handler: is missing"),
        (
            |change| change.handler.iter_mut().for_each(|h| h.since = at(-1)),
            "handler.since: is no time between the years 1970 and 2262",
        ),
    ] {
        let mut change = good.clone();
        edit(&mut change);
        let within = if error.is_empty() {
            String::new()
        } else {
            format!("records[0].handler.{error}")
        };
        assert_eq!(refusal(v1::event_record::Record::Handler(change)), within);
    }
}

#[test]
fn lists_are_bounded() {
    let node = |features| v1::NodeInfo {
        name: "n".to_owned(),
        arch: "arm64".to_owned(),
        cpu_features: vec!["sve".to_owned(); features],
        ..Default::default()
    };
    assert!(NodeInfo::try_from(node(1024)).is_ok());
    let error = NodeInfo::try_from(node(1025)).expect_err("too many");
    assert_eq!(
        error.to_string(),
        "cpu_features: has 1025 elements, not 1024 at most"
    );
    let preflight = v1::Preflight {
        uncovered: vec![v1::UncoveredPod::default(); 4097],
        ..Default::default()
    };
    let error = Preflight::try_from(preflight).expect_err("too many");
    assert_eq!(
        error.to_string(),
        "uncovered: has 4097 elements, not 4096 at most"
    );
}

/// A fact as a peer of another version sends it.
fn fact(mode: v1::ExecutionMode, cause: i32, via: i32, id: [u8; 16]) -> v1::Fact {
    let emulated = mode == v1::ExecutionMode::Emulated;
    v1::Fact {
        id: id.to_vec(),
        key: Some(v1::FactKey {
            cgroup: "/a".to_owned(),
            binary: "/bin/x".to_owned(),
            path_resolved: true,
            arch: "arm64".to_owned(),
            mode: mode.into(),
            emulator: if emulated {
                "/usr/bin/qemu-aarch64".to_owned()
            } else {
                String::new()
            },
            cause,
            via,
        }),
        first_seen: at(1),
        last_seen: at(1),
        ..Default::default()
    }
}

#[test]
fn an_older_agent_is_understood() {
    // As agents sent it that knew of no ways to an emulator, with the id they gave it.
    let id = 0x6ba5_e5ae_fee2_b133_b129_b874_7e4f_7cdf_u128;
    let fact = fact(v1::ExecutionMode::Emulated, 0, 0, id.to_be_bytes());
    let fact: Fact = fact.try_into().expect("complete");
    assert_eq!(fact.key.via, Some(Via::BinfmtMisc));
    let event = v1::Event {
        time: at(1),
        kind: v1::EventKind::EmulatedExec.into(),
        key: Some((&fact.key).into()),
        ..Default::default()
    };
    assert_eq!(refusal(v1::event_record::Record::Event(event)), "");
    let node = v1::NodeInfo {
        name: "n".to_owned(),
        arch: "arm64".to_owned(),
        ..Default::default()
    };
    let node = NodeInfo::try_from(node).expect("complete");
    assert_eq!((node.runs_32bit, node.lockdown.as_str()), (None, ""));
}

#[test]
fn words_of_a_newer_agent_become_general_ones() {
    for (mode, cause, via, cause_here, via_here) in [
        (v1::ExecutionMode::Failed, 999, 0, Some(Cause::Other), None),
        (v1::ExecutionMode::Emulated, 0, 999, None, Some(Via::Direct)),
    ] {
        // The agent's id follows from a word that this version cannot tell.
        let fact = fact(mode, cause, via, [7; 16]);
        let event = v1::Event {
            time: at(1),
            kind: v1::EventKind::FailedExec.into(),
            key: fact.key.clone(),
            ..Default::default()
        };
        let update = v1::StateUpdate {
            kind: 3,
            upserts: vec![fact],
            ..Default::default()
        };
        let update = StateUpdate::try_from(update).expect("taken");
        let key = &update.upserts[0].key;
        assert_eq!((key.cause, key.via), (cause_here, via_here));
        let batch = v1::EventBatch {
            records: vec![v1::EventRecord {
                record: Some(v1::event_record::Record::Event(event)),
            }],
            ..Default::default()
        };
        let batch = EventBatch::try_from(batch).expect("taken");
        let [Record::Event(event)] = &batch.records[..] else {
            panic!("{batch:?}")
        };
        assert_eq!(&event.key, key);
    }
}
