//! Findings as OCSF 1.5 has them (<https://schema.ocsf.io/1.5.0>), one JSON object a line.
//!
//! | event | class | why |
//! |---|---|---|
//! | emulated exec, failed exec of what is for another machine | 2003 compliance finding, failed | the control is that programs run as the node's own instruction set |
//! | loss | 2003 compliance finding, with a warning | OCSF's word for a check without a result for want of information |
//! | other failed exec, illegal instruction | 2004 detection finding | |
//! | handler of `binfmt_misc` added or removed | 2004 detection finding | it decides what is emulated from then on |

mod file;

pub use file::{File, FileError, Limits};

use std::time::SystemTime;

use archtrace_facts::fact::{Cause, Event, EventKind, Via};
use archtrace_facts::finding::{Id, Severity};
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::{HandlerChange, Record, ReportedLoss};
use archtrace_facts::sentence;
use serde_json::{Map, Value, json};

use crate::message::{entry, severity, subject};

/// The version of the schema.
pub const SCHEMA: &str = "1.5.0";

const FINDINGS: u32 = 2;
const COMPLIANCE: u32 = 2003;
const DETECTION: u32 = 2004;

/// `activity_id`: each event is a finding of its own.
const CREATE: u32 = 1;

/// `compliance.status_id`.
const WARNING: u32 = 2;
const FAIL: u32 = 3;

/// `status_id`.
const NEW: u32 = 1;

/// `type_id` of a regular file, and of a server.
const REGULAR_FILE: u32 = 1;
const SERVER: u32 = 1;

/// The event as an object of OCSF.
#[must_use]
pub fn finding(event: &NodeEvent) -> Value {
    let time = millis(event.record.time());
    let (severity, severity_id) = severity_of(severity(event));
    let status = compliance(event);
    let class = status.map_or(DETECTION, |_| COMPLIANCE);
    let mut finding = json!({
        "activity_id": CREATE,
        "activity_name": "Create",
        "category_name": "Findings",
        "category_uid": FINDINGS,
        "class_uid": class,
        "finding_info": info(event, time),
        "message": sentence::whole(event),
        "metadata": {
            "log_name": event.record.kind(),
            "product": {
                "name": "archtrace",
                "vendor_name": "archtrace",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "uid": uid(event),
            "version": SCHEMA,
        },
        "resources": [resource(event)],
        "severity": severity,
        "severity_id": severity_id,
        "status": "New",
        "status_id": NEW,
        "time": time,
        "type_uid": class * 100 + CREATE,
    });
    let (name, more) = match status {
        Some((status, status_id)) => {
            let compliance = json!({
                "control": "Programs run as the instruction set of their node",
                "standards": ["archtrace"],
                "status": status,
                "status_detail": sentence::whole(event),
                "status_id": status_id,
            });
            ("Compliance Finding", ("compliance", compliance))
        }
        None => ("Detection Finding", ("evidences", json!([evidence(event)]))),
    };
    if let Value::Object(fields) = &mut finding {
        fields.insert("class_name".to_owned(), name.into());
        fields.insert(more.0.to_owned(), more.1);
        if let Some(entry) = entry(event) {
            let fixes = entry.fix.join("\n");
            fields.insert("remediation".to_owned(), json!({ "desc": fixes }));
        }
        if class == COMPLIANCE {
            // That class has no evidences: what they would say must not be lost.
            fields.insert("unmapped".to_owned(), evidence(event));
        }
    }
    finding
}

/// What the event says about the control; nothing if it is about something else.
fn compliance(event: &NodeEvent) -> Option<(&'static str, u32)> {
    let Record::Event(Event { kind, .. }) = &event.record else {
        let is_loss = matches!(event.record, Record::Loss(_));
        return is_loss.then_some(("Warning", WARNING));
    };
    let is_foreign = match kind {
        EventKind::EmulatedExec => true,
        EventKind::FailedExec => matches!(
            entry(event).map(|entry| entry.id),
            Some(Id::ExecFormatError | Id::MissingEmulator | Id::No32BitSupport)
        ),
        EventKind::IllegalInstruction => false,
    };
    is_foreign.then_some(("Fail", FAIL))
}

fn severity_of(severity: Severity) -> (&'static str, u32) {
    match severity {
        Severity::Info => ("Informational", 1),
        Severity::Low => ("Low", 2),
        Severity::Medium => ("Medium", 3),
        Severity::High => ("High", 4),
        Severity::Critical => ("Critical", 5),
    }
}

/// Names the event: it is the same each time the event is passed on.
fn uid(event: &NodeEvent) -> String {
    let NodeEvent {
        cluster,
        node,
        stream_id,
        sequence,
        ..
    } = event;
    format!("{cluster}/{node}/{stream_id:016x}/{sequence}")
}

fn info(event: &NodeEvent, time: u64) -> Value {
    let title = entry(event).map_or(event.record.kind(), |entry| entry.title);
    let id = entry(event).map_or(event.record.kind(), |entry| entry.id.as_str());
    json!({
        "created_time": time,
        "desc": sentence::whole(event),
        "first_seen_time": time,
        "title": title,
        "types": [id],
        "uid": uid(event),
    })
}

fn resource(event: &NodeEvent) -> Value {
    let (kind, name) = subject(event);
    let identity = &event.identity;
    let mut data = Map::new();
    for (key, value) in [
        ("cluster", &event.cluster),
        ("node", &event.node),
        ("namespace", &identity.namespace),
        ("pod", &identity.pod),
        ("workload", &identity.workload),
    ] {
        add(&mut data, key, value);
    }
    let mut resource = Map::new();
    add(&mut resource, "name", name);
    add(&mut resource, "type", kind);
    add(&mut resource, "uid", &identity.pod_uid);
    resource.insert("data".to_owned(), data.into());
    resource.into()
}

/// What shows it.
fn evidence(event: &NodeEvent) -> Value {
    let mut evidence = Map::new();
    evidence.insert(
        "device".to_owned(),
        json!({ "hostname": event.node, "type": "Server", "type_id": SERVER }),
    );
    if let Some(container) = container(event) {
        evidence.insert("container".to_owned(), container);
    }
    match &event.record {
        Record::Event(what) => {
            let path = &what.key.binary;
            let name = path.rsplit('/').next().unwrap_or(path);
            let file = json!({
                "name": name,
                "path": path,
                "type": "Regular File",
                "type_id": REGULAR_FILE,
            });
            evidence.insert(
                "process".to_owned(),
                json!({ "file": file, "name": what.comm, "pid": what.pid }),
            );
            evidence.insert("data".to_owned(), details(what, event));
        }
        Record::Handler(HandlerChange { handler, .. }) => {
            let arch = handler.arch.map(|arch| arch.to_string());
            evidence.insert(
                "data".to_owned(),
                json!({
                    "arch": arch,
                    "flags": handler.flags,
                    "handler": handler.name,
                    "interpreter": handler.interpreter,
                }),
            );
        }
        Record::Loss(ReportedLoss {
            stage,
            count,
            since,
            until,
            range: _,
        }) => {
            evidence.insert(
                "data".to_owned(),
                json!({
                    "count": count,
                    "since": millis(*since),
                    "stage": stage,
                    "until": millis(*until),
                }),
            );
        }
    }
    evidence.into()
}

fn details(what: &Event, event: &NodeEvent) -> Value {
    let key = &what.key;
    json!({
        "arch": key.arch.to_string(),
        "cause": key.cause.map(Cause::as_str),
        "count": what.count,
        "emulator": key.emulator,
        "errno": what.errno,
        "instruction": what.instruction.as_ref().and_then(|known| known.mnemonic.clone()),
        "mode": key.mode.as_str(),
        "node_arch": event.node_arch.to_string(),
        "via": key.via.map(Via::as_str),
    })
}

fn container(event: &NodeEvent) -> Option<Value> {
    let identity = &event.identity;
    let mut container = Map::new();
    add(&mut container, "name", &identity.container);
    add(&mut container, "uid", &identity.container_id);
    if container.is_empty() {
        return None;
    }
    add(&mut container, "pod_uuid", &identity.pod_uid);
    if !identity.image_id.is_empty() {
        let image = json!({ "name": identity.image, "uid": identity.image_id });
        container.insert("image".to_owned(), image);
    }
    Some(container.into())
}

/// Adds what is known.
fn add(object: &mut Map<String, Value>, key: &str, value: &str) {
    if !value.is_empty() {
        object.insert(key.to_owned(), value.into());
    }
}

/// `timestamp_t`: milliseconds since 1970.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests;
