//! Events as logs of OpenTelemetry, one request a batch.
//!
//! Names of attributes are those of the semantic conventions where there are some
//! (<https://opentelemetry.io/docs/specs/semconv/>), else they begin with `archtrace.`.

mod client;

pub use client::{Client, ClientError, Options};

use std::collections::BTreeMap;
use std::time::SystemTime;

use archtrace_facts::fact::{Cause, Event, Via};
use archtrace_facts::finding::Severity;
use archtrace_facts::fleet::NodeEvent;
use archtrace_facts::report::{HandlerChange, Record};
use archtrace_facts::sentence;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::message::{entry, severity};

/// The events as one request, by node, each node's in their order. `observed` is when they were read from
/// the store.
#[must_use]
pub fn request(events: &[NodeEvent], observed: SystemTime) -> ExportLogsServiceRequest {
    let mut nodes: BTreeMap<(&str, &str), Vec<&NodeEvent>> = BTreeMap::new();
    for event in events {
        let node = (event.cluster.as_str(), event.node.as_str());
        nodes.entry(node).or_default().push(event);
    }
    let nodes = nodes.into_values().map(|events| ResourceLogs {
        resource: events.first().map(|event| resource(event)),
        scope_logs: vec![ScopeLogs {
            scope: Some(InstrumentationScope {
                name: "archtrace".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..InstrumentationScope::default()
            }),
            log_records: events.iter().map(|event| log(event, observed)).collect(),
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    });
    ExportLogsServiceRequest {
        resource_logs: nodes.collect(),
    }
}

fn resource(event: &NodeEvent) -> Resource {
    let mut attributes = Attributes::default();
    attributes.text("service.name", "archtrace");
    attributes.text("service.version", env!("CARGO_PKG_VERSION"));
    attributes.text("k8s.cluster.name", &event.cluster);
    attributes.text("k8s.node.name", &event.node);
    attributes.text("host.arch", &event.node_arch.to_string());
    Resource {
        attributes: attributes.0,
        ..Resource::default()
    }
}

fn log(event: &NodeEvent, observed: SystemTime) -> LogRecord {
    let severity = severity(event);
    let mut attributes = Attributes::default();
    attributes.text("archtrace.kind", event.record.kind());
    // Both name the event within its node: it is the same each time the event is passed on.
    attributes.text("archtrace.stream_id", &format!("{:016x}", event.stream_id));
    attributes.number("archtrace.sequence", event.sequence);
    attributes.text("archtrace.severity", severity.as_str());
    if let Some(entry) = entry(event) {
        attributes.text("archtrace.finding", entry.id.as_str());
    }
    owner(&mut attributes, event);
    match &event.record {
        Record::Event(what) => happened(&mut attributes, what),
        Record::Handler(HandlerChange { handler, .. }) => {
            attributes.text("archtrace.handler", &handler.name);
            attributes.text("archtrace.emulator", &handler.interpreter);
            if let Some(arch) = handler.arch {
                attributes.text("archtrace.arch", &arch.to_string());
            }
        }
        Record::Loss(loss) => {
            attributes.text("archtrace.stage", &loss.stage);
            attributes.number("archtrace.count", loss.count);
        }
    }
    LogRecord {
        time_unix_nano: nanos(event.record.time()),
        observed_time_unix_nano: nanos(observed),
        severity_number: number(severity).into(),
        severity_text: severity.as_str().to_owned(),
        body: Some(AnyValue {
            value: Some(Value::StringValue(sentence::whole(event))),
        }),
        attributes: attributes.0,
        event_name: format!("archtrace.{}", event.record.kind()),
        ..LogRecord::default()
    }
}

fn owner(attributes: &mut Attributes, event: &NodeEvent) {
    let identity = &event.identity;
    for (key, value) in [
        ("k8s.namespace.name", &identity.namespace),
        ("k8s.pod.name", &identity.pod),
        ("k8s.pod.uid", &identity.pod_uid),
        ("k8s.container.name", &identity.container),
        ("container.id", &identity.container_id),
        ("container.image.name", &identity.image),
        ("container.image.id", &identity.image_id),
        ("archtrace.workload", &identity.workload),
        ("archtrace.unit", &identity.unit),
    ] {
        attributes.text(key, value);
    }
}

fn happened(attributes: &mut Attributes, what: &Event) {
    let key = &what.key;
    attributes.text("process.executable.path", &key.binary);
    attributes.number("process.pid", what.pid.into());
    attributes.text("archtrace.comm", &what.comm);
    attributes.text("archtrace.arch", &key.arch.to_string());
    attributes.text("archtrace.mode", key.mode.as_str());
    attributes.text(
        "archtrace.emulator",
        key.emulator.as_deref().unwrap_or_default(),
    );
    attributes.text("archtrace.via", key.via.map_or("", Via::as_str));
    attributes.text("archtrace.cause", key.cause.map_or("", Cause::as_str));
    attributes.number("archtrace.errno", what.errno.unsigned_abs().into());
    attributes.number("archtrace.count", what.count);
    if let Some(mnemonic) = what.instruction.as_ref().and_then(|i| i.mnemonic.as_ref()) {
        attributes.text("archtrace.instruction", mnemonic);
    }
}

/// Each key once; what is not known is left out.
#[derive(Debug, Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.add(key, Value::StringValue(value.to_owned()));
        }
    }

    /// Numbers are signed; none of an honest agent's is as high.
    fn number(&mut self, key: &str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.add(key, Value::IntValue(value));
    }

    fn add(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
    }
}

/// What is broken is an error; a critical finding is one that calls for somebody at once.
fn number(severity: Severity) -> SeverityNumber {
    match severity {
        Severity::Info => SeverityNumber::Info,
        Severity::Low => SeverityNumber::Info2,
        Severity::Medium => SeverityNumber::Warn,
        Severity::High => SeverityNumber::Error,
        Severity::Critical => SeverityNumber::Error3,
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
