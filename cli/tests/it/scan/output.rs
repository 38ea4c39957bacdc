//! How what was found is printed, and the exit codes of the rest.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use archtrace_guests::Isa;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::program::until_handled;
use super::super::support::archtrace;
use super::image::{Image, archive, elf, layer, layout};
use super::lines;

/// An image without an amd64 variant, and with a foreign library.
fn app() -> (TempDir, PathBuf) {
    let foreign = [("usr/lib/libhsm.so", elf(Isa::Amd64))];
    let image = Image::of("arm64", layer(Isa::Arm64, &foreign));
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.tar");
    fs::write(&path, archive(&layout(&[image]))).expect("writes");
    (dir, path)
}

/// What is printed, with the image's directory taken away.
fn printed(args: &[&str]) -> String {
    let (dir, path) = app();
    let path = path.to_str().expect("text");
    let assert = archtrace(&[&["scan", path], args].concat()).assert();
    let assert = assert.code(2).stderr("");
    let text = String::from_utf8(assert.get_output().stdout.clone()).expect("text");
    text.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn people_read_what_is_wrong_and_what_was_looked_at() {
    let text = printed(&[]);
    let expected = "\
app.tar  example.org/app:1  linux/amd64
  missing-platform: there is no linux/amd64, only linux/arm64; --arch or --platforms says what it should have
app.tar  example.org/app:1  linux/arm64
  FILE                ARCH   WHY IT MATTERS
  /usr/lib/libhsm.so  amd64  a shared library where the loader looks
  1 finding(s) for arm64; 2 file(s), of which ELF: 1 amd64, 1 arm64
";
    assert_eq!(text, expected);
    let wide = printed(&["-o", "wide"]);
    for words in [
        "SEVERITY",
        "foreign-library",
        "/usr/lib/libhsm.so",
        "missing-platform",
        "2 file(s)",
    ] {
        assert!(wide.contains(words), "{words}: {wide}");
    }
}

#[test]
fn programs_read_one_object_a_line() {
    let (_dir, path) = app();
    let path_text = path.to_str().expect("text");
    let lines = lines(&path, &[], 2);
    let expected = [
        json!({
            "kind": "finding", "path": path_text, "finding": "missing-platform", "severity": "high",
            "image": "example.org/app:1", "platform": "linux/amd64", "file": null, "arch": null,
            "expected": "amd64", "role": null, "main": null, "has": ["linux/arm64"],
            "message": "there is no linux/amd64, only linux/arm64",
        }),
        json!({
            "kind": "finding", "path": path_text, "finding": "foreign-library", "severity": "high",
            "image": "example.org/app:1", "platform": "linux/arm64", "file": "/usr/lib/libhsm.so",
            "arch": "amd64", "expected": "arm64", "role": "library", "main": null, "has": [],
            "message": "for amd64, not arm64: a shared library where the loader looks",
        }),
        json!({
            "kind": "summary", "path": path_text, "image": "example.org/app:1",
            "platform": "linux/arm64", "expected": "arm64", "main": "/app", "main_arch": "arm64",
            "files": 2, "bytes": lines[2]["bytes"], "elf": {"amd64": 1, "arm64": 1}, "findings": 1,
            "skipped": {}, "left_out": [],
        }),
    ];
    assert_eq!(lines, expected);
}

/// What the schema of SARIF 2.1.0 requires, and what code scanning asks for beyond.
#[test]
fn ci_systems_read_sarif() {
    let log: Value = serde_json::from_str(&printed(&["-o", "sarif"])).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "archtrace");
    let rules = driver["rules"].as_array().expect("rules");
    for rule in rules {
        for field in [
            "id",
            "shortDescription",
            "fullDescription",
            "help",
            "defaultConfiguration",
        ] {
            assert!(!rule[field].is_null(), "{field}: {rule}");
        }
    }
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 2);
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("a number");
        let rule = &rules[usize::try_from(index).expect("small")];
        assert_eq!(rule["id"], result["ruleId"]);
        assert_eq!(result["level"], "error");
        assert!(result["message"]["text"].is_string(), "{result}");
        let place = &result["locations"][0];
        let uri = place["physicalLocation"]["artifactLocation"]["uri"].as_str();
        assert!(uri.is_some_and(|uri| uri.ends_with("app.tar")), "{result}");
    }
    let within = &results[1]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"];
    assert_eq!(within, "example.org/app:1 linux/arm64 /usr/lib/libhsm.so");
}

#[test]
fn several_paths_are_scanned_and_one_that_fails_is_told() {
    let (_dir, path) = app();
    let path = path.to_str().expect("text");
    for format in ["table", "json", "sarif"] {
        let args = ["scan", "/nowhere", path, "-o", format];
        let assert = archtrace(&args).assert().code(1);
        let output = assert.get_output();
        let (out, told) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(told.contains("cannot read /nowhere"), "{told}");
        assert!(out.contains("libhsm.so"), "{out}");
    }
}

#[test]
fn a_closed_pipe_hides_no_findings() {
    let (_dir, path) = app();
    let child = Command::new(env!("CARGO_BIN_EXE_archtrace"))
        .args(["scan", path.to_str().expect("text")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(2), 0));
}

#[test]
fn a_bad_option_does_not_look_like_findings() {
    for (args, code) in [
        (&["scan"][..], 1),
        (&["scan", "x", "--nonsense"], 1),
        (&["scan", "x", "--arch", "x86_64"], 1),
        (&["scan", "x", "--platforms", "amd64"], 1),
        (
            &["scan", "x", "--arch", "amd64", "--platforms", "linux/amd64"],
            1,
        ),
        (&["scan", "x", "-o", "yaml"], 1),
        (&["scan", "--help"], 0),
        (&["nodes", "-o", "sarif"], 2),
    ] {
        archtrace(args).assert().code(code);
    }
}

#[test]
fn an_interrupted_scan_ends() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_archtrace"))
            .args(["scan", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        // It waits for more, which does not come.
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(&[0; 100]).expect("it reads");
        until_handled(&child, signal);
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        kill(pid, signal).expect("it runs");
        let output = child.wait_with_output().expect("ends");
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        drop(stdin);
    }
}
