//! Whose facts and events are, and what their images hold.

use serde_json::Value;

use super::answers::{objects, printed};
use super::support::Collector;

#[test]
fn everything_has_its_pod_and_image() {
    let collector = Collector::filled();
    for command in ["facts", "events", "emulated"] {
        let all = objects(
            &collector,
            &[command, "--namespace", "pay", "--pod", "api-7c9"],
        );
        assert!(!all.is_empty());
        for object in &all {
            for (field, value) in [
                ("namespace", "pay"),
                ("pod", "api-7c9"),
                ("container", "hsm"),
                ("pod_uid", "8a8d"),
                ("container_id", "0123456789abcdef"),
                ("image", "registry/hsm:1"),
                ("image_id", "sha256:77"),
                ("image_arch", "arm64"),
                ("workload", "Deployment/api"),
                ("last_exit_reason", "StartError"),
            ] {
                assert_eq!(object[field], value, "{command}: {object}");
            }
            let numbers = (&object["restart_attempt"], &object["last_exit_code"]);
            assert_eq!(numbers, (&2.into(), &255.into()), "{command}");
        }
        assert!(
            printed(&collector, &[command]).contains("pay/api-7c9 hsm"),
            "{command}"
        );
    }
}

#[test]
fn images_tell_what_their_files_are() {
    let collector = Collector::filled();
    let images = objects(&collector, &["images", "hsm"]);
    let image = &images[0];
    for (pointer, value) in [
        ("/image_id", "sha256:77".into()),
        ("/images/0", "registry/hsm:1".into()),
        ("/image_arch", "arm64".into()),
        ("/nodes/amd64", 1.into()),
        ("/main_arch", "amd64".into()),
        ("/elf/amd64", 2.into()),
        ("/foreign/1/path", "/app/a.jar!/libx.so".into()),
        ("/foreign/1/role", "jar_entry".into()),
        ("/more_foreign", 3.into()),
        ("/complete", false.into()),
        ("/skipped/too_deep", 1.into()),
    ] {
        assert_eq!(
            image.pointer(pointer),
            Some::<&Value>(&value),
            "{pointer}: {image}"
        );
    }
    let table = printed(&collector, &["images"]);
    assert!(
        table.contains("amd64 /bin/hsm") && table.contains("amd64 2, arm64 1"),
        "{table}"
    );
    let wide = printed(&collector, &["images", "-o", "wide"]);
    for said in [
        "amd64 /app/a.jar!/libx.so (jar_entry)",
        "and 3 more",
        "1 too_deep",
    ] {
        assert!(wide.contains(said), "{said}: {wide}");
    }
    let none = collector.archtrace(&["images", "no-such-image"]);
    { none }.assert().success().stdout("");
}
