//! The portability matrix: the same in each of its forms, and exit codes.

use archtrace_collector::fleet::Nodes;
use archtrace_facts::arch::Arch::{Amd64, Arm64};
use archtrace_facts::audit::{Audit, Foreign, Role};
use archtrace_facts::fact::Mode;
use archtrace_facts::image::Image;
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::transport::Endpoint;

use super::support::fleet::{Container, Node, arm64, container};
use super::support::{Collector, Setup, archtrace};

/// The image of Deployment/web, on a node that is what it is for.
fn image(foreign: Vec<Foreign>) -> Image {
    Image {
        id: "sha256:web".to_owned(),
        names: vec!["registry/web:1".to_owned()],
        arch: Some(Arm64),
        os: "linux".to_owned(),
        variant: String::new(),
        audit: Some(Audit {
            expected: Arm64,
            files: 9,
            bytes: 9,
            elf: vec![(Arm64, 1)],
            main: Some(("/web".to_owned(), Arm64)),
            foreign,
            more_foreign: 0,
            skipped: Vec::new(),
        }),
    }
}

/// Besides what `n1` has, Deployment/web is native with a sidecar that is not, and a jar with a library
/// that is none for its architecture.
fn filled() -> Collector {
    let collector = Collector::filled();
    let native = container("web-1", &[("/web", Arm64, Mode::Native)]);
    let mut proxy = container("web-1", &[("/usr/local/bin/envoy", Amd64, Mode::Emulated)]);
    proxy.identity.container = "istio-proxy".to_owned();
    let jar = Foreign {
        path: "/app.jar!/libhsm.so".to_owned(),
        arch: Amd64,
        role: Role::JarEntry,
    };
    collector.report(&Node {
        images: vec![image(vec![jar])],
        ..arm64("n2", vec![native, proxy])
    });
    collector
}

fn run(collector: &Collector, args: &[&str], code: i32) -> String {
    let assert = collector.archtrace(args).assert().code(code).stderr("");
    String::from_utf8(assert.get_output().stdout.clone()).expect("text")
}

/// Namespace, workload, layer, component, status and why of each row.
type Row = [String; 6];

fn by_grpc(collector: &Collector) -> Vec<Row> {
    let runtime = Runtime::new().expect("a runtime");
    let endpoint = Endpoint::from_shared(collector.url()).expect("a URL");
    let channel = runtime.block_on(endpoint.connect()).expect("connects");
    let mut client = QueryClient::new(channel);
    // Page after page of one workload each.
    let (mut rows, mut page_token) = (Vec::new(), String::new());
    loop {
        let answer = runtime.block_on(client.get_matrix(v1::GetMatrixRequest {
            page_size: 1,
            page_token,
            ..v1::GetMatrixRequest::default()
        }));
        let answer = answer.expect("answers").into_inner();
        for workload in answer.workloads {
            rows.extend(workload.rows.into_iter().map(|row| {
                let (namespace, name) = (workload.namespace.clone(), workload.workload.clone());
                [
                    namespace,
                    name,
                    row.layer,
                    row.component,
                    row.status,
                    row.why,
                ]
            }));
        }
        if answer.next_page_token.is_empty() {
            return rows;
        }
        page_token = answer.next_page_token;
    }
}

fn by_json(text: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in text.lines() {
        let workload: Value = serde_json::from_str(line).expect("JSON");
        let field = |of: &Value, name: &str| of[name].as_str().expect(name).to_owned();
        for row in workload["rows"].as_array().expect("rows") {
            let [namespace, name] = ["namespace", "workload"].map(|name| field(&workload, name));
            let [layer, component, status, why] =
                ["layer", "component", "status", "why"].map(|name| field(row, name));
            rows.push([namespace, name, layer, component, status, why]);
        }
    }
    rows
}

#[test]
fn table_json_csv_markdown_and_grpc_say_the_same() {
    let collector = filled();
    let told = by_grpc(&collector);
    let statuses: Vec<_> = told
        .iter()
        .map(|row| [&*row[1], &*row[2], &*row[4]])
        .collect();
    assert_eq!(
        statuses,
        [
            ["Deployment/api", "runtime", "FIX"],
            ["Deployment/api", "image", "FIX"],
            ["Deployment/api", "native_dependencies", "FIX"],
            ["Deployment/api", "sidecars", "PASS"],
            ["Deployment/api", "agents", "GATE"],
            ["Deployment/web", "runtime", "PASS"],
            ["Deployment/web", "image", "PASS"],
            ["Deployment/web", "native_dependencies", "FIX"],
            ["Deployment/web", "sidecars", "FIX"],
            ["Deployment/web", "agents", "GATE"],
        ]
    );
    assert_eq!(
        by_json(&run(&collector, &["matrix", "-o", "json"], 2)),
        told
    );
    let forms = [("table", 1), ("markdown", 4), ("csv", 1)];
    for (form, heads) in forms {
        let text = run(&collector, &["matrix", "-o", form], 2);
        let lines: Vec<_> = text
            .lines()
            .skip(heads)
            .take_while(|line| !line.is_empty())
            .collect();
        assert_eq!(lines.len(), told.len(), "{text}");
        for (line, row) in lines.iter().zip(&told) {
            // In Markdown, what could be markup is written with a backslash.
            let line = line.replace('\\', "");
            assert!(
                row.iter().all(|word| line.contains(word.as_str())),
                "{row:?} in {line}"
            );
        }
    }
}

#[test]
fn rows_have_evidence_and_say_what_to_do() {
    let collector = filled();
    let wide = run(
        &collector,
        &["matrix", "web", "-n", "shop", "-o", "wide"],
        2,
    );
    for words in [
        "shop/Deployment/web",
        "file /app.jar!/libhsm.so (amd64): jar_entry",
        "foreign-library",
        "fact /usr/local/bin/envoy (amd64): emulated by /usr/bin/qemu-aarch64 on arm64, node n2",
        "no policy: nobody said which agents are mandated",
        "native on arm64",
    ] {
        assert!(wide.contains(words), "{words} in\n{wide}");
    }
    assert!(!wide.contains("Deployment/api"), "{wide}");
    let text = run(&collector, &["matrix", "Deployment/web", "-o", "json"], 2);
    let web: Value = serde_json::from_str(&text).expect("JSON");
    for (pointer, value) in [
        ("/arch", "arm64".into()),
        ("/status", "FIX".into()),
        ("/rows/2/component", "registry/web:1".into()),
        ("/rows/2/finding", "foreign-library".into()),
        ("/rows/2/evidence/0/kind", "file".into()),
        ("/rows/2/evidence/0/what", "/app.jar!/libhsm.so".into()),
        ("/rows/3/component", "istio-proxy".into()),
        ("/rows/3/evidence/0/node", "n2".into()),
        ("/coverage/reporting", 2.into()),
    ] {
        assert_eq!(web.pointer(pointer), Some(&value), "{pointer}: {web}");
    }
    let fixes = run(&collector, &["matrix", "web", "--status", "FIX"], 2);
    assert_eq!(fixes.lines().count(), 3, "{fixes}");
}

#[test]
fn the_exit_code_is_that_of_the_worst_row() {
    let collector = filled();
    run(&collector, &["matrix"], 2);
    run(&collector, &["matrix", "--status", "PASS"], 2);
    // All that is known of it passes; nobody knows which agents it needs.
    let clean = Collector::filled();
    let native = Container {
        facts: vec![("/web", Arm64, Mode::Native)],
        ..container("web-1", &[])
    };
    clean.report(&Node {
        images: vec![image(Vec::new())],
        ..arm64("n2", vec![native])
    });
    let text = run(&clean, &["matrix", "web", "--status", "GATE,FIX,WAIVED"], 3);
    assert!(
        text.lines().count() == 2 && text.contains("no policy"),
        "{text}"
    );
    let text = run(&clean, &["matrix", "web", "--arch", "amd64"], 3);
    assert!(
        text.contains("ran on arm64 only, and not yet on amd64"),
        "{text}"
    );
    // Nothing is known of it.
    let none = clean.archtrace(&["matrix", "no-such-workload"]);
    let told = { none }.assert().code(3).stdout("");
    let told = String::from_utf8_lossy(&told.get_output().stderr).into_owned();
    assert!(told.contains("no such workloads on 2 node(s)"), "{told}");
    for (args, words) in [
        (&["matrix", "--arch", "x86_64"][..], "amd64"),
        (&["matrix", "--status", "RED"], "PASS, WAIVED, GATE, FIX"),
        (
            &["matrix", "-o", "sarif"],
            "table, wide, json, markdown or csv",
        ),
    ] {
        let told = archtrace(args).assert().code(1).stdout("");
        let told = String::from_utf8_lossy(&told.get_output().stderr).into_owned();
        assert!(told.contains(words), "{args:?}: {told}");
    }
}

#[test]
fn what_nobody_can_speak_for_does_not_pass() {
    let policy = "
agents:
- name: web
  match: {namespace: shop, executable: /web}
  nodes: {names: [n2]}
";
    let dir = tempfile::tempdir().expect("a directory");
    let web = || Node {
        images: vec![image(Vec::new())],
        ..arm64(
            "n2",
            vec![container("web-1", &[("/web", Arm64, Mode::Native)])],
        )
    };
    let mut nameless = container("web-2", &[("/web", Arm64, Mode::Native)]);
    nameless.identity.pod.clear();
    nameless.identity.namespace.clear();
    nameless.identity.workload.clear();
    for (nodes, more, code, words) in [
        ("c/n1\nc/n2\n", None, 0, ""),
        ("c/n1\nc/n2\nc/n9\n", None, 3, "1 node never reported"),
        (
            "c/n1\nc/n2\nc/n3\n",
            Some(arm64("n3", vec![nameless])),
            3,
            "fact(s) are of pods whose names nobody knows",
        ),
    ] {
        let path = dir.path().join("nodes");
        std::fs::write(&path, nodes).expect("writes");
        let collector = Collector::new(Setup {
            nodes: Nodes::File(path),
            policy: Some(policy),
            ..Setup::default()
        });
        collector.report(&web());
        if let Some(node) = more {
            collector.report(&node);
        }
        let assert = collector.archtrace(&["matrix", "web"]).assert();
        let output = assert.get_output();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(!out.contains("GATE") && !out.contains("FIX"), "{out}");
        assert_eq!(output.status.code(), Some(code), "{nodes}: {out}{err}");
        assert!(err.contains(words), "{words} in {err}");
    }
}
