//! What registries have of deployed tags: an agent tells what its pods run, the collector asks a real registry,
//! and the program says what is lacking.

mod agent;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use archtrace_collector::registry::Options;
use archtrace_distribution::{Access, PASSWORD, Registry, USER};
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Mode;
use serde_json::{Value, json};

use self::agent::Agent;
use super::support::fleet::{Node, arm64, container};
use super::support::{Collector, Setup, ago, archtrace};

/// Loopback has to be named to be asked.
fn options(config: Option<PathBuf>, only: &[&str]) -> Options {
    Options {
        every: Duration::from_secs(3600),
        config,
        ca: None,
        plaintext: Vec::new(),
        only: only.iter().map(ToString::to_string).collect(),
    }
}

fn collector(options: Options) -> Collector {
    Collector::new(Setup {
        records: None,
        registry: Some(options),
        ..Setup::default()
    })
}

fn config(path: &Path, host: &str, password: &str) {
    let json = json!({ "auths": { host: { "username": USER, "password": password } } });
    fs::write(path, json.to_string()).expect("writes");
}

/// What is printed, the exit code, and what is said besides.
fn run(collector: &Collector, args: &[&str]) -> (String, i32, String) {
    let output = collector.archtrace(args).output().expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("a code");
    (text(&output.stdout), code, text(&output.stderr))
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON")
}

/// The JSON of `archtrace registry` and its exit code, once there are `count` tags and `is_there` of each.
fn wait(
    collector: &Collector,
    count: usize,
    is_there: impl Fn(&Value) -> bool,
) -> (Vec<Value>, i32) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let (text, code, told) = run(collector, &["registry", "-o", "json"]);
        let tags = lines(&text);
        if tags.len() == count && tags.iter().all(&is_there) {
            return (tags, code);
        }
        assert!(Instant::now() < deadline, "{text} {told}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn is_asked(tag: &Value) -> bool {
    tag["check"]["trouble"] != "not_asked"
}

/// Path and tag, verdict, and in a word why nothing is known, if that is so.
fn verdicts(tags: &[Value], host: &str) -> Vec<(String, String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tags = tags.iter().map(|tag| {
        let reference = word(&tag["reference"]);
        let path = reference
            .strip_prefix(&format!("{host}/"))
            .unwrap_or(&reference);
        (
            path.to_owned(),
            word(&tag["verdict"]),
            word(&tag["check"]["trouble"]),
        )
    });
    tags.collect()
}

#[test]
fn what_registries_lack_is_told_with_who_runs_it() {
    let Some(registry) = Registry::start(&Access::Password) else {
        return;
    };
    let host = registry.host();
    let both = registry.index("team/both", "1", &[("linux", "amd64"), ("linux", "arm64")]);
    registry.index("team/one", "1", &[("linux", "amd64")]);
    registry.image("team/single", Some("1"), "linux", "amd64");
    let gone = registry.index("team/gone", "1", &[("linux", "amd64")]);
    registry.remove("team/gone", &gone.digest);
    let inner = registry.index_of(
        "team/nested",
        None,
        &[
            registry
                .image("team/nested", None, "linux", "arm64")
                .descriptor_for("linux", "arm64"),
            registry
                .image("team/nested", None, "unknown", "unknown")
                .descriptor_for("unknown", "unknown"),
        ],
    );
    registry.index_of("team/nested", Some("1"), &[inner.descriptor()]);

    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config.json");
    config(&path, &host, "wr0ng-s3cret");
    let collector = collector(options(Some(path.clone()), &[&host]));
    let at = |name: &str| format!("{host}/team/{name}");
    let id = format!("sha256:{}", "a".repeat(64));
    let _agent = Agent::report(
        &collector.url(),
        "n1",
        &[
            ("both", &at("both:1")),
            ("digest", &at(&format!("both@{}", both.digest))),
            ("one", &at("one:1")),
            ("other", &at("one:1")),
            ("single", &at("single:1")),
            ("gone", &at("gone:1")),
            ("nested", &at("nested:1")),
            ("id", &id),
        ],
    );

    // Nobody is let in: nothing is known, and nothing is fine or lacking.
    let (tags, code) = wait(&collector, 7, is_asked);
    assert_eq!(code, 3);
    assert!(
        tags.iter().all(|tag| tag["verdict"] == "UNKNOWN"),
        "{tags:?}"
    );
    let denied = tags
        .iter()
        .filter(|tag| tag["check"]["trouble"] == "denied");
    assert_eq!(denied.count(), 6);
    let whole = format!("{tags:?} {}", run(&collector, &["status", "-o", "json"]).0);
    assert!(whole.contains("registry_denied"), "{whole}");
    assert!(!whole.contains("s3cret"), "{whole}");

    // With other credentials all are asked again.
    config(&path, &host, PASSWORD);
    let (tags, code) = wait(&collector, 7, |tag| tag["check"]["trouble"] != "denied");
    assert_eq!(code, 2);
    let has = |name: &str| (name.to_owned(), "HAS".to_owned(), String::new());
    let lacks = |name: &str| (name.to_owned(), "LACKS".to_owned(), String::new());
    let unknown = |name: &str, why: &str| (name.to_owned(), "UNKNOWN".to_owned(), why.to_owned());
    assert_eq!(
        verdicts(&tags, &format!("{host}/team")),
        [
            lacks("one:1"),
            lacks("single:1"),
            unknown("gone:1", "gone"),
            unknown(&id, "no_reference"),
            has("both:1"),
            has(&format!("both@{}", both.digest)),
            has("nested:1"),
        ]
    );
    let one = &tags[0];
    for (pointer, value) in [
        ("/arch", json!("arm64")),
        (
            "/why",
            json!("its index has linux/amd64, and none for arm64"),
        ),
        ("/check/reference", json!(at("one:1"))),
        ("/check/is_index", json!(true)),
        ("/check/platforms", json!(["linux/amd64"])),
        ("/check/message", Value::Null),
        (
            "/workloads",
            json!([
                { "cluster": "c", "namespace": "pay", "workload": "Deployment/one" },
                { "cluster": "c", "namespace": "pay", "workload": "Deployment/other" },
            ]),
        ),
        ("/more_workloads", json!(0)),
        ("/nodes", json!({ "amd64": 1 })),
        ("/node_names", json!(["n1"])),
        ("/coverage/reporting", json!(1)),
    ] {
        assert_eq!(one.pointer(pointer), Some(&value), "{pointer}: {one}");
    }

    // What is asked for decides about the exit code, what is shown does not.
    for (args, code, count) in [
        (&["--status", "HAS"][..], 2, 3),
        (&["--status", "LACKS,UNKNOWN"], 2, 4),
        (&["*/team/both*", "*/team/nested:1"], 0, 3),
        (&["*/team/gone:1"], 3, 1),
        (&["--workload", "Deployment/other"], 2, 1),
        (&["--workload", "Deployment/both", "--arch", "s390x"], 2, 1),
        (&["--arch", "amd64", "--workload", "*/one,*/single"], 0, 2),
        (&["-n", "other"], 3, 0),
    ] {
        let args = [&["registry", "-o", "json"], args].concat();
        let (text, is, told) = run(&collector, &args);
        assert_eq!(
            (is, lines(&text).len()),
            (code, count),
            "{args:?}: {text} {told}"
        );
    }
    let (table, _, _) = run(&collector, &["registry"]);
    let first = table.lines().nth(1).expect("a row");
    for words in [
        "team/one:1",
        "LACKS",
        "pay/Deployment/one and 1 more",
        "amd64 1",
    ] {
        assert!(first.contains(words), "{words}: {table}");
    }
    let (wide, _, _) = run(&collector, &["registry", "*/one:1", "-o", "wide"]);
    for words in ["pay/Deployment/other", "sha256:", "such as", "n1"] {
        assert!(wide.contains(words), "{words}: {wide}");
    }

    // By image, and by workload.
    let (images, code, told) = run(&collector, &["images", "--lacks", "arm64", "-o", "json"]);
    let names = lines(&images)
        .into_iter()
        .map(|image| image["images"][0].clone());
    let mut names: Vec<_> = names.collect();
    names.dedup();
    assert_eq!(
        (names, code),
        (vec![json!(at("one:1")), json!(at("single:1"))], 0)
    );
    assert!(told.contains("warning: of 2 tag(s) nobody knows"), "{told}");
    let (images, _, _) = run(&collector, &["images", "team/both", "-o", "wide"]);
    assert!(
        images.contains("both:1 has linux/amd64, linux/arm64 (asked "),
        "{images}"
    );
    let row = |workload: &str| {
        let (matrix, _, _) = run(&collector, &["matrix", workload, "-o", "json"]);
        let matrix = lines(&matrix);
        let rows = matrix[0]["rows"].as_array().expect("rows").clone();
        let row = rows.into_iter().find(|row| row["layer"] == "image");
        row.expect("a row")
    };
    let deadline = Instant::now() + Duration::from_secs(120);
    while row("one")["status"] != "FIX" {
        // Images are those of half a minute ago at most.
        assert!(Instant::now() < deadline, "{}", row("one"));
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(row("one")["finding"], "missing-platform");
    let both = row("both");
    assert_eq!(both["status"], "GATE", "{both}");
    let why = both["why"].as_str().unwrap_or_default();
    assert!(why.contains("which no node has pulled yet"), "{both}");
}

#[test]
fn a_node_that_does_not_report_is_not_fine() {
    let Some(registry) = Registry::start(&Access::Everybody) else {
        return;
    };
    registry.index("web", "1", &[("linux", "amd64"), ("linux", "arm64")]);
    let collector = collector(options(None, &[&registry.host()]));
    let report = |name: &'static str, heard: SystemTime| {
        let mut web = container("web-1", &[("/web", Arch::Arm64, Mode::Native)]);
        web.identity.image = format!("{}/web:1", registry.host());
        collector.report(&Node {
            heard,
            ..arm64(name, vec![web])
        });
    };
    report("n1", SystemTime::now());
    let (tags, code) = wait(&collector, 1, is_asked);
    assert_eq!((&tags[0]["verdict"], code), (&json!("HAS"), 0));
    report("n2", ago(24));
    let (text, code, told) = run(&collector, &["registry", "-o", "json"]);
    assert_eq!((&lines(&text)[0]["nodes"]["arm64"], code), (&json!(2), 3));
    assert!(told.contains("1 node is stale"), "{told}");
}

#[test]
fn only_those_are_asked_that_may_be() {
    let Some(registry) = Registry::start(&Access::Everybody) else {
        return;
    };
    registry.index("web", "1", &[("linux", "amd64")]);
    for (only, said) in [
        (&["reg.example"][..], "none of --registry-only"),
        (&[], "loopback is a registry of each node's own"),
    ] {
        let collector = collector(options(None, only));
        let mut web = container("web-1", &[("/web", Arch::Arm64, Mode::Native)]);
        web.identity.image = format!("{}/web:1", registry.host());
        collector.report(&arm64("n1", vec![web]));
        // Long enough for it to be asked, if it was.
        std::thread::sleep(Duration::from_secs(5));
        let (text, code, _) = run(&collector, &["registry", "-o", "json"]);
        let tags = lines(&text);
        assert_eq!(
            (&tags[0]["check"]["trouble"], code),
            (&json!("not_asked"), 3)
        );
        let why = tags[0]["why"].as_str().unwrap_or_default();
        assert!(why.contains(said), "{why}");
    }
    assert!(
        !registry
            .log()
            .contains("/v2/web/manifests/1 HTTP/1.1\" 200"),
        "{}",
        registry.log()
    );
}

#[test]
fn who_asks_nobody_says_so() {
    let collector = Collector::filled();
    let (text, code, told) = run(&collector, &["registry"]);
    assert_eq!((&*text, code), ("", 1));
    assert!(
        told.contains("start archtrace-collector with --registry-check"),
        "{told}"
    );
    let (text, code, told) = run(&collector, &["images", "--lacks", "arm64"]);
    assert_eq!((&*text, code), ("", 0));
    assert!(
        told.contains("no registry was asked for any of them"),
        "{told}"
    );
    for (args, words) in [
        (&["registry", "--arch", "x86_64"][..], "amd64"),
        (&["registry", "--status", "RED"], "HAS, UNKNOWN, LACKS"),
        (&["registry", "-o", "csv"], "table, wide or json"),
    ] {
        let told = archtrace(args).assert().code(1).stdout("");
        let told = String::from_utf8_lossy(&told.get_output().stderr).into_owned();
        assert!(told.contains(words), "{args:?}: {told}");
    }
}
