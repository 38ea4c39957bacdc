//! Events, losses and changes of handlers, one row each.

use std::time::SystemTime;

use archtrace_facts::fact::EventKind;
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::human::{age, utc};
use archtrace_facts::report::Record;
use archtrace_facts::sentence::sentence;
use serde::Serialize;

use crate::link;

/// What a row shows. Rows that come in live are made of the same, by the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct EventRow {
    /// Names it, so that none is shown twice.
    pub(crate) key: String,
    pub(crate) utc: String,
    pub(crate) age: String,
    pub(crate) node: String,
    pub(crate) node_link: String,
    pub(crate) place: String,
    pub(crate) place_link: String,
    pub(crate) kind: &'static str,
    /// Of its colour: `bad`, `odd` or `note`.
    pub(crate) class: &'static str,
    pub(crate) binary: String,
    pub(crate) arch: String,
    pub(crate) why: String,
}

impl EventRow {
    pub(crate) fn new(event: &NodeEvent, now: SystemTime) -> Self {
        let NodeEvent {
            cluster,
            node,
            stream_id,
            sequence,
            record,
            identity,
            ..
        } = event;
        let (binary, arch) = match record {
            Record::Event(event) => (event.key.shown_binary(), Some(event.key.arch)),
            Record::Handler(change) => (String::new(), change.handler.arch),
            Record::Loss(_) => (String::new(), None),
        };
        let time = record.time();
        Self {
            key: format!("{cluster}/{node}/{stream_id}/{sequence}"),
            utc: utc(time),
            age: age(time, now),
            node: node.clone(),
            node_link: link::node(cluster, node),
            place: identity.place(),
            place_link: link::workload(cluster, &identity.namespace, &identity.workload),
            kind: record.kind(),
            class: class(record),
            binary,
            arch: arch.map(|arch| arch.to_string()).unwrap_or_default(),
            why: sentence(event),
        }
    }
}

/// Several, as of one moment.
pub(crate) fn rows(events: &[NodeEvent], now: SystemTime) -> Vec<EventRow> {
    let rows = events.iter().map(|event| EventRow::new(event, now));
    rows.collect()
}

fn class(record: &Record) -> &'static str {
    match record {
        Record::Event(event) => match event.kind {
            EventKind::EmulatedExec => "odd",
            EventKind::FailedExec | EventKind::IllegalInstruction => "bad",
        },
        Record::Handler(_) => "note",
        Record::Loss(_) => "odd",
    }
}
