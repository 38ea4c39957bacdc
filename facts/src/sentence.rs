//! What happened, in one sentence for people.

use crate::fact::{Cause, Event, EventKind, FactKey, HandlerChangeKind, Mode, Origin, Via};
use crate::fleet::NodeEvent;
use crate::human::{count, duration, errno, hex};
use crate::identity::Identity;
use crate::node::Handler;
use crate::report::{HandlerChange, Record, ReportedLoss};

/// One sentence, without a full stop.
#[must_use]
pub fn sentence(event: &NodeEvent) -> String {
    match &event.record {
        Record::Event(what) => match what.kind {
            EventKind::EmulatedExec => emulated(&what.key) + &label(what, &event.identity),
            EventKind::FailedExec => failed(&what.key, what.errno) + &label(what, &event.identity),
            EventKind::IllegalInstruction => illegal(what),
        },
        Record::Handler(HandlerChange { kind, handler, .. }) => changed(*kind, handler),
        Record::Loss(loss) => lost(loss),
    }
}

/// The same for those who do not see the binary next to it: logs and other systems.
#[must_use]
pub fn whole(event: &NodeEvent) -> String {
    let told = sentence(event);
    match &event.record {
        Record::Event(what) => {
            let binary = what.key.shown_binary();
            let died = match what.kind {
                EventKind::IllegalInstruction if what.instruction.is_some() => "died of SIGILL: ",
                EventKind::IllegalInstruction | EventKind::EmulatedExec | EventKind::FailedExec => {
                    ""
                }
            };
            format!("{binary} ({}): {died}{told}", what.key.arch)
        }
        Record::Handler(_) => told,
        Record::Loss(_) => format!("events were lost at stage {told}"),
    }
}

/// What the image's label has to do with it: a file that is not what the image claims to hold was put
/// there by mistake; an image that claims to be for another machine was pulled by mistake.
fn label(event: &Event, identity: &Identity) -> String {
    let arch = event.key.arch;
    match (identity.image_arch, event.key.cause) {
        (Some(claimed), None | Some(Cause::ForeignElf | Cause::MissingEmulator)) => {
            if claimed == arch {
                format!("; its image is for {claimed}")
            } else {
                format!("; its image claims to be for {claimed}")
            }
        }
        _ => String::new(),
    }
}

fn emulated(key: &FactKey) -> String {
    let emulator = key.emulator.as_deref().unwrap_or("an emulator");
    match key.via {
        None | Some(Via::BinfmtMisc) => format!("emulated by {emulator}"),
        Some(Via::Direct) => format!("emulated by {emulator}, which somebody started directly"),
        Some(Via::Build) => format!("emulated by {emulator}, in a build for another platform"),
    }
}

fn failed(key: &FactKey, error: i32) -> String {
    let arch = key.arch;
    let why = match key.cause {
        Some(Cause::ForeignElf) => {
            &format!("{arch} file, which this node neither runs nor emulates")
        }
        Some(Cause::EmptyFile) => "empty file",
        Some(Cause::TruncatedElf) => "ELF file that ends before its headers do",
        Some(Cause::CorruptElf) => "ELF file whose header the kernel does not take",
        Some(Cause::NoShebang) => "text without #!, which only a shell would run",
        Some(Cause::MissingInterpreter) => "the interpreter that it names is not there",
        Some(Cause::WrongInterpreter) => "the ELF interpreter that it names is not for its machine",
        Some(Cause::MissingEmulator) => {
            &format!("{arch} file, for which a handler is registered whose emulator is not there")
        }
        Some(Cause::No32Bit) => &format!("{arch} file, and this CPU or kernel has no 32-bit mode"),
        Some(Cause::WrongByteOrder) => "ELF file of this machine in the other byte order",
        Some(Cause::WrongClass) => "ELF file of a class that the kernel does not run",
        Some(Cause::Other) | None => "refused by the kernel",
    };
    format!("{why} ({})", errno(error))
}

/// Which instruction, where, and why it was refused.
fn illegal(event: &Event) -> String {
    let Some(instruction) = &event.instruction else {
        return "unavailable: died of SIGILL".to_owned();
    };
    let why = instruction.sentence(event.key.mode);
    if event.key.mode == Mode::Emulated {
        // Whatever is known of an instruction is about the emulator's.
        return why;
    }
    if instruction.origin != Origin::Cpu {
        return why;
    }
    let what = match &instruction.mnemonic {
        Some(mnemonic) => mnemonic.clone(),
        None if instruction.bytes.is_empty() => "unavailable".to_owned(),
        None => hex(&instruction.bytes),
    };
    match (&instruction.module, instruction.offset) {
        (Some(module), Some(offset)) => format!("{what} at {module}+{offset:#x}: {why}"),
        _ => format!("{what} at {:#x}: {why}", instruction.address),
    }
}

fn changed(kind: HandlerChangeKind, handler: &Handler) -> String {
    let Handler {
        name,
        interpreter,
        flags,
        arch,
        ..
    } = handler;
    let files = arch.map_or("other files".to_owned(), |arch| format!("{arch} files"));
    let now = match kind {
        HandlerChangeKind::Added => "are now run by",
        HandlerChangeKind::Removed => "are no longer run by",
    };
    let flags = if flags.is_empty() {
        String::new()
    } else {
        format!(", flags {flags}")
    };
    format!("{files} {now} {interpreter} (handler {name}{flags})")
}

fn lost(loss: &ReportedLoss) -> String {
    let ReportedLoss {
        stage,
        count: number,
        since,
        until,
        range: _,
    } = loss;
    let span = duration(until.duration_since(*since).unwrap_or_default());
    if *number == 0 {
        return format!("{stage} for {span}");
    }
    format!("{stage}: {} within {span}", count(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use crate::fact::IllegalInstruction;
    use std::time::SystemTime;

    fn event(kind: EventKind, instruction: Option<IllegalInstruction>) -> Record {
        Record::Event(Event {
            time: SystemTime::UNIX_EPOCH,
            kind,
            pid: 1,
            comm: "app".to_owned(),
            key: FactKey {
                cgroup: String::new(),
                binary: "/app".to_owned(),
                path_resolved: true,
                arch: Arch::Arm64,
                mode: Mode::Native,
                emulator: None,
                via: None,
                cause: None,
            },
            errno: 8,
            count: 1,
            instruction,
        })
    }

    #[test]
    fn a_whole_sentence_names_what_it_is_about() {
        let instruction = IllegalInstruction::unread(Origin::Itself);
        let lost = Record::Loss(ReportedLoss {
            stage: "ring_buffer".to_owned(),
            count: 9,
            since: SystemTime::UNIX_EPOCH,
            until: SystemTime::UNIX_EPOCH,
            range: None,
        });
        let died = EventKind::IllegalInstruction;
        for (record, told) in [
            (
                event(EventKind::EmulatedExec, None),
                "/app (arm64): emulated by an emulator",
            ),
            (
                event(EventKind::FailedExec, None),
                "/app (arm64): refused by the kernel (ENOEXEC)",
            ),
            (
                event(died, Some(instruction)),
                "/app (arm64): died of SIGILL: the process sent it to itself",
            ),
            (
                event(died, None),
                "/app (arm64): unavailable: died of SIGILL",
            ),
            (lost, "events were lost at stage ring_buffer: 9 within 0s"),
        ] {
            let event = NodeEvent {
                cluster: String::new(),
                node: "n1".to_owned(),
                node_arch: Arch::Arm64,
                stream_id: 1,
                sequence: 1,
                record,
                identity: Identity::default(),
            };
            assert_eq!(whole(&event), told);
        }
    }
}
