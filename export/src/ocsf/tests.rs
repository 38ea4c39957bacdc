//! Findings have what the schema requires.

use super::*;
use crate::samples::all;

/// What `base_event`, `finding` and the objects in them require, or recommend and consumers look for, in
/// version 1.5.0.
const OF_ALL: &[&str] = &[
    "/activity_id",
    "/category_uid",
    "/class_uid",
    "/finding_info/title",
    "/finding_info/uid",
    "/message",
    "/metadata/product/name",
    "/metadata/product/vendor_name",
    "/metadata/version",
    "/resources/0/name",
    "/severity_id",
    "/status_id",
    "/time",
    "/type_uid",
];

/// What a class requires besides; in `evidences`, one of many objects is enough, each with its own.
const OF_COMPLIANCE: &[&str] = &[
    "/compliance/control",
    "/compliance/standards/0",
    "/compliance/status_id",
];
const OF_DETECTION: &[&str] = &["/evidences/0/device/type_id", "/evidences/0/data"];

fn has(finding: &Value, pointers: &[&str]) {
    for pointer in pointers {
        let value = finding.pointer(pointer);
        assert!(
            value.is_some_and(|value| !value.is_null()),
            "{pointer} of {finding:#}"
        );
    }
}

#[test]
fn findings_have_what_the_schema_requires() {
    let classes = [2003, 2003, 2004, 2004, 2004, 2004, 2003];
    for (event, class) in all().iter().zip(classes) {
        let finding = finding(event);
        has(&finding, OF_ALL);
        assert_eq!(finding["class_uid"], class, "{finding:#}");
        assert_eq!(finding["type_uid"], class * 100 + 1);
        assert_eq!(finding["metadata"]["version"], "1.5.0");
        let severity = finding["severity_id"].as_u64().expect("a number");
        assert!((1..=5).contains(&severity));
        // Milliseconds, not seconds or nanoseconds.
        let time = finding["time"].as_u64().expect("a number");
        assert!((1_700_000_000_000..1_700_000_003_000).contains(&time));
        let is_compliance = class == 2003;
        has(
            &finding,
            if is_compliance {
                OF_COMPLIANCE
            } else {
                OF_DETECTION
            },
        );
        assert_eq!(finding.get("compliance").is_some(), is_compliance);
        assert_eq!(finding.get("evidences").is_none(), is_compliance);
    }
}

#[test]
fn findings_say_what_happened_to_whom() {
    let events = all();
    for (at, pointer, value) in [
        (0, "/compliance/status", json!("Fail")),
        (0, "/finding_info/types/0", json!("emulated-process")),
        (0, "/resources/0/name", json!("Deployment/api")),
        (0, "/resources/0/data/namespace", json!("pay")),
        (0, "/unmapped/data/emulator", json!("/usr/bin/qemu-x86_64")),
        (0, "/unmapped/process/file/name", json!("client")),
        (0, "/metadata/uid", json!("prod/n1/0000000000000abc/0")),
        (1, "/finding_info/types/0", json!("exec-format-error")),
        (1, "/unmapped/data/errno", json!(8)),
        (2, "/evidences/0/process/pid", json!(77)),
        (2, "/evidences/0/container/image/uid", json!("sha256:77")),
        (3, "/finding_info/types/0", json!("failed_exec")),
        (4, "/evidences/0/data/instruction", json!("vaddps")),
        (5, "/evidences/0/data/handler", json!("qemu-x86_64")),
        (6, "/compliance/status", json!("Warning")),
        (6, "/unmapped/data/stage", json!("ring_buffer")),
        (6, "/resources/0/name", json!("n1")),
    ] {
        let finding = finding(&events[at]);
        assert_eq!(
            finding.pointer(pointer),
            Some(&value),
            "{pointer} of {finding:#}"
        );
    }
}
