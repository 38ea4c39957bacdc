//! What is said of each kind of record.

use archtrace_facts::arch::Arch;
use archtrace_facts::fact::{
    Cause, EventKind, FactKey, HandlerChangeKind, IllegalInstruction, Mode, Origin, Via,
};
use archtrace_facts::node::Handler;
use archtrace_facts::report::{HandlerChange, Record};
use serde_json::{Value, json};

use super::answers::{objects, printed};
use super::support::{Collector, ago, event, handler, key};

/// One that this CPU does not have.
pub(crate) fn instruction() -> IllegalInstruction {
    IllegalInstruction {
        origin: Origin::Cpu,
        code: 2,
        sender: None,
        address: 0x7f00_0000_1234,
        bytes: vec![0x62, 0xf1, 0x75, 0x48, 0xfe, 0xc2],
        mnemonic: Some("vpaddd".to_owned()),
        extension: Some("AVX512F".to_owned()),
        cpu_has: Some(false),
        module: Some("/usr/lib/libx.so".to_owned()),
        offset: Some(0x1234),
    }
}

fn illegal(mode: Mode, instruction: Option<IllegalInstruction>) -> Record {
    let key = key("/bin/worker", Arch::Amd64, mode);
    event(EventKind::IllegalInstruction, key, 0, instruction, 0)
}

fn failed(cause: Cause, errno: i32) -> Record {
    let key = FactKey {
        cause: Some(cause),
        ..key("/bin/x", Arch::I386, Mode::Failed)
    };
    event(EventKind::FailedExec, key, errno, None, 0)
}

fn emulated(via: Via) -> Record {
    let key = FactKey {
        via: Some(via),
        ..key("/bin/x", Arch::Arm64, Mode::Emulated)
    };
    event(EventKind::EmulatedExec, key, 0, None, 0)
}

fn change(kind: HandlerChangeKind, handler: Handler) -> Record {
    let time = ago(0);
    Record::Handler(HandlerChange {
        time,
        kind,
        handler,
    })
}

/// The newest event, for programs; tables tell it with the same words.
fn told(record: Record) -> Value {
    let collector = Collector::with(vec![record]);
    let newest = ["events", "--limit", "1"];
    let event = objects(&collector, &newest).remove(0);
    let wide = printed(&collector, &[&newest[..], &["-o", "wide"]].concat());
    for field in ["kind", "message"] {
        let words = event[field].as_str().expect("a text");
        assert!(wide.contains(words), "{words} in\n{wide}");
    }
    let table = printed(&collector, &newest);
    assert!(table.contains(event["kind"].as_str().expect("a word")));
    event
}

#[test]
fn every_record_has_a_line() {
    let jar = Handler {
        flags: String::new(),
        arch: None,
        ..handler()
    };
    let undecoded = IllegalInstruction {
        mnemonic: None,
        extension: None,
        cpu_has: None,
        module: None,
        offset: None,
        ..instruction()
    };
    for (record, message) in [
        (
            illegal(Mode::Native, Some(instruction())),
            "vpaddd at /usr/lib/libx.so+0x1234: needs AVX512F, this CPU has none",
        ),
        (
            illegal(Mode::Native, Some(undecoded)),
            "62f17548fec2 at 0x7f0000001234: no instruction that is known: data, or an extension younger than this agent",
        ),
        (
            illegal(Mode::Native, Some(IllegalInstruction::unread(Origin::Cpu))),
            "unavailable at 0x0: the instruction could not be read",
        ),
        (
            illegal(
                Mode::Native,
                Some(IllegalInstruction::unread(Origin::Process)),
            ),
            "sent by another process",
        ),
        (
            illegal(
                Mode::Emulated,
                Some(IllegalInstruction::unread(Origin::Itself)),
            ),
            "the guest died of SIGILL under its emulator; the instruction is not available",
        ),
        (
            illegal(Mode::Emulated, Some(instruction())),
            "the guest died of SIGILL under its emulator; the instruction is not available",
        ),
        (illegal(Mode::Native, None), "unavailable: died of SIGILL"),
        (
            failed(Cause::No32Bit, 8),
            "386 file, and this CPU or kernel has no 32-bit mode (ENOEXEC)",
        ),
        (
            failed(Cause::WrongInterpreter, 80),
            "the ELF interpreter that it names is not for its machine (ELIBBAD)",
        ),
        (
            emulated(Via::BinfmtMisc),
            "emulated by /usr/bin/qemu-aarch64; its image is for arm64",
        ),
        (
            failed(Cause::ForeignElf, 8),
            "386 file, which this node neither runs nor emulates (ENOEXEC); its image claims to be for arm64",
        ),
        (
            emulated(Via::Build),
            "emulated by /usr/bin/qemu-aarch64, in a build for another platform; its image is for arm64",
        ),
        (
            change(HandlerChangeKind::Added, handler()),
            "arm64 files are now run by /usr/bin/qemu-aarch64 (handler qemu-aarch64, flags F)",
        ),
        (
            change(HandlerChangeKind::Removed, jar),
            "other files are no longer run by /usr/bin/qemu-aarch64 (handler qemu-aarch64)",
        ),
    ] {
        assert_eq!(told(record)["message"], message);
    }
    for cause in Cause::ALL {
        let event = told(failed(*cause, 2));
        let message = event["message"].as_str().expect("a text");
        assert!(message.contains(" (ENOENT)"), "{message}");
    }
}

#[test]
fn fields_of_instructions_are_for_programs() {
    let event = told(illegal(Mode::Native, Some(instruction())));
    assert_eq!(event["kind"], "illegal_instruction");
    assert_eq!(
        event["instruction"],
        json!({
            "origin": "cpu",
            "code": 2,
            "sender": null,
            "address": "0x7f0000001234",
            "bytes": "62f17548fec2",
            "mnemonic": "vpaddd",
            "extension": "AVX512F",
            "cpu_has": false,
            "module": "/usr/lib/libx.so",
            "offset": "0x1234",
        })
    );
    assert_eq!(
        (&event["errno"], &event["handler"], &event["pid"]),
        (&Value::Null, &Value::Null, &77.into())
    );
    let event = told(illegal(
        Mode::Native,
        Some(IllegalInstruction::unread(Origin::Process)),
    ));
    assert_eq!(event["instruction"]["address"], Value::Null);
}

#[test]
fn fields_of_handlers_are_for_programs() {
    let event = told(change(HandlerChangeKind::Removed, handler()));
    assert_eq!(event["kind"], "handler_removed");
    assert_eq!(
        event["handler"],
        json!({
            "name": "qemu-aarch64",
            "enabled": true,
            "interpreter": "/usr/bin/qemu-aarch64",
            "flags": "F",
            "arch": "arm64",
            "since": "2023-11-14T22:13:20Z",
        })
    );
    assert_eq!(
        (&event["arch"], &event["pid"], &event["instruction"]),
        (&"arm64".into(), &Value::Null, &Value::Null)
    );
}

#[test]
fn kinds_are_asked_for() {
    let collector = Collector::with(vec![
        illegal(Mode::Native, Some(instruction())),
        change(HandlerChangeKind::Added, handler()),
        change(HandlerChangeKind::Removed, handler()),
    ]);
    for (kinds, count) in [
        ("illegal_instruction", 1),
        ("handler_added,handler_removed", 2),
        ("handler_removed,loss", 2),
    ] {
        let events = objects(&collector, &["events", "--kind", kinds]);
        assert_eq!(events.len(), count, "{kinds}");
    }
}
