//! What an event is, for other systems: a name, what it is about, and how much it matters.

use archtrace_facts::finding::{self, Entry, Severity};
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::{HandlerChange, Record};

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
