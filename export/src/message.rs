//! What an event is, for other systems: a name, a sentence, and how much it matters.

use archtrace_facts::fact::{Cause, Event, EventKind};
use archtrace_facts::finding::{self, Entry, Severity};
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::{HandlerChange, Record, ReportedLoss};

/// The entry of the catalogue of findings, where the event is one.
pub(crate) fn entry(event: &NodeEvent) -> Option<&'static Entry> {
    let id = match &event.record {
        Record::Event(event) => finding::of_event(event),
        Record::Handler(HandlerChange { handler, .. }) => {
            finding::of_handler(event.node_arch, handler)
        }
        Record::Loss(_) => None,
    };
    id.and_then(finding::Id::entry)
}

/// How much it matters. Events that are no findings are good to know; a loss means that something is not
/// seen.
pub(crate) fn severity(event: &NodeEvent) -> Severity {
    match (entry(event), &event.record) {
        (Some(entry), _) => entry.severity,
        (None, Record::Loss(_)) => Severity::Low,
        (None, _) => Severity::Info,
    }
}

/// One sentence, without a full stop.
pub(crate) fn sentence(event: &NodeEvent) -> String {
    match &event.record {
        Record::Event(what) => happened(what),
        Record::Handler(HandlerChange { kind, handler, .. }) => {
            let files = handler
                .arch
                .map_or_else(String::new, |arch| format!(" for {arch} files"));
            format!(
                "{kind}: {}{files}, interpreter {}",
                handler.name, handler.interpreter
            )
        }
        Record::Loss(ReportedLoss {
            stage, count: 0, ..
        }) => {
            format!("events were lost at stage {stage}; how many is not known")
        }
        Record::Loss(ReportedLoss { stage, count, .. }) => {
            format!("{count} event(s) were lost at stage {stage}")
        }
    }
}

fn happened(event: &Event) -> String {
    let key = &event.key;
    let (binary, arch) = (&key.binary, key.arch);
    match event.kind {
        EventKind::EmulatedExec => {
            let emulator = key.emulator.as_deref().unwrap_or("an emulator");
            format!("{binary} ({arch}) was executed under the emulator {emulator}")
        }
        EventKind::FailedExec => {
            let cause = key.cause.map_or("other", Cause::as_str);
            format!(
                "{binary} ({arch}) could not be executed: {cause}, errno {}",
                event.errno
            )
        }
        EventKind::IllegalInstruction => {
            let why = event.instruction.as_ref();
            let why = why.map(|instruction| instruction.sentence(key.mode));
            let why = why.unwrap_or_else(|| "nothing is known of the instruction".to_owned());
            format!("{binary} ({arch}) died of an illegal instruction: {why}")
        }
    }
}

/// What it is about: kind and name of the workload, pod, unit or node.
pub(crate) fn subject(event: &NodeEvent) -> (&'static str, &str) {
    let identity = &event.identity;
    let known = [
        ("Workload", &identity.workload),
        ("Pod", &identity.pod),
        ("Systemd Unit", &identity.unit),
    ];
    let known = known.into_iter().find(|(_, name)| !name.is_empty());
    let (kind, name) = known.unwrap_or(("Node", &event.node));
    (kind, name)
}
