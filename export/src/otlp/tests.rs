//! Logs say what happened, in the words of OpenTelemetry.

use std::collections::BTreeSet;

use super::*;
use crate::samples::{all, at};

fn attribute(of: &[KeyValue], key: &str) -> Option<String> {
    let mut found = of.iter().filter(|attribute| attribute.key == key);
    let value = found.next()?.value.as_ref()?.value.as_ref()?;
    Some(match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    })
}

#[test]
fn logs_say_what_happened_to_whom() {
    let mut events = all();
    events[6].node = "n2".to_owned();
    let request = request(&events, at(1_700_000_009));
    let nodes: Vec<_> = request.resource_logs.iter().collect();
    assert_eq!(nodes.len(), 2);
    let resource = nodes[0].resource.as_ref().expect("a resource");
    for (key, value) in [
        ("service.name", "archtrace"),
        ("k8s.cluster.name", "prod"),
        ("k8s.node.name", "n1"),
        ("host.arch", "arm64"),
    ] {
        assert_eq!(attribute(&resource.attributes, key).as_deref(), Some(value));
    }
    let logs: Vec<_> = nodes
        .iter()
        .flat_map(|node| node.scope_logs[0].log_records.iter())
        .collect();
    assert_eq!(logs.len(), events.len());
    for (at, key, value) in [
        (0, "archtrace.kind", Some("emulated_exec")),
        (0, "archtrace.finding", Some("emulated-process")),
        (0, "archtrace.emulator", Some("/usr/bin/qemu-x86_64")),
        (0, "archtrace.cause", None),
        (0, "k8s.pod.name", Some("api-7c9")),
        (0, "archtrace.workload", Some("Deployment/api")),
        (0, "process.pid", Some("77")),
        (0, "archtrace.stream_id", Some("0000000000000abc")),
        (1, "archtrace.cause", Some("foreign_elf")),
        (1, "archtrace.errno", Some("8")),
        (3, "archtrace.finding", None),
        (4, "archtrace.instruction", Some("vaddps")),
        (5, "archtrace.handler", Some("qemu-x86_64")),
        (6, "archtrace.count", Some("9")),
        (6, "archtrace.sequence", Some("6")),
    ] {
        let told = attribute(&logs[at].attributes, key);
        assert_eq!(told.as_deref(), value, "{key} of {at}");
    }
    for log in &logs {
        let keys: BTreeSet<_> = log.attributes.iter().map(|a| &a.key).collect();
        assert_eq!(keys.len(), log.attributes.len(), "each key once");
        assert_eq!(log.observed_time_unix_nano, 1_700_000_009_000_000_000);
        assert!(log.time_unix_nano >= 1_700_000_000_000_000_000);
        assert!(log.event_name.starts_with("archtrace.") && log.body.is_some());
    }
    // What costs a multiple is an error, what is lost worth a look.
    assert_eq!(logs[0].severity_number(), SeverityNumber::Error);
    assert_eq!(logs[6].severity_number(), SeverityNumber::Info2);
}
