//! Whether mandated agents run: what is printed, and exit codes for scripts.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use archtrace_collector::fleet::Nodes;
use archtrace_facts::arch::Arch;
use archtrace_facts::fact::Mode;
use archtrace_proto::v1;
use archtrace_proto::v1::query_client::QueryClient;
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::transport::Endpoint;

use super::support::fleet::{Node, arm64, container};
use super::support::{Collector, Setup, ago, key};

/// One agent for each way to be on `n1`, whose facts are all in one container.
const POLICY: &str = "
agents:
- name: audit
  match: {unit: auditd.service}
- name: emulated
  match: {namespace: pay, executable: /bin/running}
- name: failing
  match: {image: registry/hsm*, executable: relative}
- name: native
  match: {labels: {app: a*}, executable: /bin/true}
  certified: {amd64: ['1']}
- name: uncertified
  match: {workload: Deployment/api, executable: '*/true'}
  certified: {arm64: ['1'], amd64: [7.18]}
  nodes: {archs: [amd64, arm64], names: [n*]}
- name: waived
  match: {executable: /sbin/nothing}
  waivers:
  - {owner: joe, reason: long ago, expires: 2001-01-01}
  - {owner: jane, reason: in May, expires: 2200-05-31, statuses: [missing]}
";

fn collector() -> Collector {
    Collector::new(Setup {
        policy: Some(POLICY),
        ..Setup::default()
    })
}

/// `n1` reports, and `n2` should.
fn with_unknown(list: &Path) -> Collector {
    let path = list.join("nodes");
    fs::write(&path, "c/n1\nc/n2\n").expect("writes");
    Collector::new(Setup {
        nodes: Nodes::File(path),
        policy: Some(POLICY),
        ..Setup::default()
    })
}

/// What is printed, with this exit code; and what is said besides.
fn told(collector: &Collector, args: &[&str], code: i32) -> (String, String) {
    let args = [&["coverage"], args].concat();
    let assert = collector.archtrace(&args).assert();
    let output = assert.get_output();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {out}{err}");
    (out, err)
}

fn objects(collector: &Collector, args: &[&str], code: i32) -> Vec<Value> {
    let (out, _) = told(collector, &[args, &["-o", "json"]].concat(), code);
    out.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn statuses(objects: &[Value]) -> Vec<(&str, &str)> {
    objects
        .iter()
        .map(|object| {
            let text = |field: &str| object[field].as_str().expect("a text");
            (text("agent"), text("status"))
        })
        .collect()
}

#[test]
fn each_agent_is_told_as_it_is() {
    let collector = collector();
    let all = objects(&collector, &[], 5);
    assert_eq!(
        statuses(&all),
        [
            ("audit", "MISSING"),
            ("emulated", "EMULATED"),
            ("failing", "FAILING"),
            ("native", "NATIVE"),
            ("uncertified", "UNCERTIFIED"),
            ("waived", "WAIVED"),
        ]
    );
    let [_, emulated, failing, native, uncertified, waived] = &all[..] else {
        panic!("six agents")
    };
    for (object, reason) in [
        (
            emulated,
            "arm64 program under /usr/bin/qemu-aarch64, 2 processes",
        ),
        (failing, "exec format error: foreign_elf, riscv64 file"),
        (native, "runs natively, certified as tag 1"),
        (uncertified, "tag 1 is not certified for amd64"),
        (waived, "nothing on the node matches"),
    ] {
        assert_eq!(object["reason"], reason);
    }
    assert_eq!(
        (&native["pod"], &native["image"]),
        (&"api-7c9".into(), &"registry/hsm:1".into())
    );
    assert_eq!(
        (&native["waiver"], &native["waived_status"]),
        (&Value::Null, &Value::Null)
    );
    let waiver = serde_json::json!({
        "owner": "jane", "reason": "in May", "expires": "2200-06-01T00:00:00Z", "expired": false,
    });
    assert_eq!(
        (&waived["waiver"], &waived["waived_status"]),
        (&waiver, &"MISSING".into())
    );
    let (table, _) = told(&collector, &[], 5);
    let (rows, sums) = table.split_once("\n\n").expect("two tables");
    assert!(!rows.contains("NATIVE"), "{table}");
    assert!(
        rows.contains("waived until 2200-06-01T00:00:00Z by jane: in"),
        "{table}"
    );
    let native = sums.lines().find(|line| line.starts_with("native"));
    let numbers: Vec<_> = native
        .expect("all agents")
        .split_whitespace()
        .skip(1)
        .collect();
    assert_eq!(
        numbers,
        ["1", "1", "0", "0", "0", "0", "0", "0", "0"],
        "{table}"
    );
}

#[test]
fn exit_codes_say_how_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let collector = collector();
    for (args, code) in [
        (&["--agent", "native"][..], 0),
        (&["--agent", "native,waived", "--arch", "amd64"], 0),
        // What is not shown counts.
        (&["--status", "native"], 5),
        (&["--agent", "emulated"], 5),
        (&["--agent", "audit"], 5),
        (&["--agent", "no-such-agent"], 6),
        (&["--node", "n2"], 6),
        (&["--arch", "arm64"], 6),
        (&["--status", "bad"], 2),
        (&["--arch", "x86_64"], 2),
        (&["-o", "sarif"], 2),
    ] {
        told(&collector, args, code);
    }
    let (_, said) = told(&collector, &["--node", "n2"], 6);
    assert!(said.contains("none of the 6 agent(s)"), "{said}");
    let unknown = with_unknown(dir.path());
    for (args, rows, code) in [
        (
            &["--agent", "native"][..],
            &[("native", "NATIVE"), ("native", "UNKNOWN")][..],
            6,
        ),
        // Nobody knows what n2 is.
        (
            &["--agent", "native", "--arch", "arm64"],
            &[("native", "UNKNOWN")],
            6,
        ),
        (
            &["--agent", "audit"],
            &[("audit", "MISSING"), ("audit", "UNKNOWN")],
            5,
        ),
        (
            &["--agent", "native", "--node", "n1"],
            &[("native", "NATIVE")],
            0,
        ),
        (
            &["--status", "unknown,stale", "--agent", "audit"],
            &[("audit", "UNKNOWN")],
            5,
        ),
    ] {
        assert_eq!(statuses(&objects(&unknown, args, code)), rows, "{args:?}");
    }
    let silent = Collector::new(Setup {
        heard: ago(4),
        policy: Some(POLICY),
        ..Setup::default()
    });
    let rows = objects(&silent, &["--agent", "native,emulated"], 6);
    assert_eq!(
        statuses(&rows),
        [("emulated", "STALE"), ("native", "STALE")]
    );
    let (_, said) = told(&Collector::filled(), &[], 1);
    assert!(said.contains("start it with --policy FILE"), "{said}");
}

#[test]
fn an_agent_whose_nodes_are_none_is_not_fine() {
    let policy = "
agents:
- name: native
  match: {labels: {app: a*}, executable: /bin/true}
- name: elsewhere
  match: {executable: /opt/edr}
  nodes: {archs: [amd64], clusters: [prod-eu-wset]}
";
    let collector = Collector::new(Setup {
        policy: Some(policy),
        ..Setup::default()
    });
    let (_, said) = told(&collector, &[], 6);
    assert!(said.contains("policy.yaml has for elsewhere: "), "{said}");
    let rows = objects(&collector, &[], 6);
    assert_eq!(statuses(&rows), [("native", "NATIVE")]);
    assert_eq!(
        rows[0]["agents_without_nodes"],
        serde_json::json!(["elsewhere"])
    );
    // Nobody asks for it, or it has not to run there.
    let (_, said) = told(&collector, &["--agent", "native"], 0);
    assert_eq!(said, "");
    let (_, said) = told(&collector, &["--arch", "arm64"], 6);
    assert!(!said.contains("elsewhere"), "{said}");
}

#[test]
fn what_may_be_in_a_sandbox_is_unknown() {
    let collector = collector();
    collector.report(&Node {
        uncovered: vec!["/kubepods/burstable/pod2b1a1b6e-8d3e-4c57-9a4f-0e5d2c1b3a49/x"],
        ..arm64(
            "n3",
            vec![container("web-1", &[("/web", Arch::Arm64, Mode::Native)])],
        )
    });
    let rows = objects(&collector, &["--node", "n3"], 5);
    // Units are never in a sandbox.
    assert_eq!(
        statuses(&rows),
        [
            ("audit", "MISSING"),
            ("emulated", "UNKNOWN"),
            ("failing", "UNKNOWN"),
            ("native", "UNKNOWN"),
            ("uncertified", "UNKNOWN"),
            ("waived", "UNKNOWN"),
        ]
    );
    let reason = rows[1]["reason"].as_str().expect("a text");
    assert!(
        reason.ends_with("nothing is seen: it runs in gvisor"),
        "{reason}"
    );
    let pods = ["--node", "n3", "--agent", "native"];
    told(&collector, &pods, 6);
}

#[test]
fn since_when_and_what_was_before_survive_the_collector() {
    let mut collector = collector();
    let since = |collector: &Collector, agent: &str, code| {
        let rows = objects(collector, &["--agent", agent, "--history"], code);
        (
            rows[0]["since"].clone(),
            rows[0]["past"].clone(),
            rows[0]["status"].clone(),
        )
    };
    let noted = |collector: &Collector, status: &str, code| {
        let begun = Instant::now();
        loop {
            let (since, past, is) = since(collector, "emulated", code);
            if is == status && since.is_string() {
                return (since, past);
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{is} {since}");
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    let (first, past) = noted(&collector, "EMULATED", 5);
    assert_eq!(past, serde_json::json!([]));
    collector.stop();
    collector.start();
    assert_eq!(noted(&collector, "EMULATED", 5).0, first);
    collector.change(
        1,
        Vec::new(),
        vec![key("/bin/running", Arch::Arm64, Mode::Emulated).id()],
    );
    let begun = Instant::now();
    while since(&collector, "emulated", 5).2 != "MISSING" {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    let (second, past) = noted(&collector, "MISSING", 5);
    let was = serde_json::json!([{"status": "EMULATED", "since": first, "until": second}]);
    assert_eq!(past, was);
    let (table, _) = told(&collector, &["--agent", "emulated", "--history"], 5);
    assert!(
        table.contains("BEFORE") && table.contains("EMULATED until"),
        "{table}"
    );
}

#[test]
fn a_policy_that_became_wrong_is_told_and_the_one_before_holds() {
    let collector = collector();
    // It has begun.
    told(&collector, &["--agent", "native"], 0);
    fs::write(collector.dir().join("policy.yaml"), "agents: []\n").expect("writes");
    let begun = Instant::now();
    loop {
        let (_, said) = told(&collector, &["--agent", "native"], 0);
        if said.contains("policy.yaml:1: names no agent") {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{said}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn table_json_and_grpc_say_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let collector = with_unknown(dir.path());
    let runtime = Runtime::new().expect("a runtime");
    let endpoint = Endpoint::from_shared(collector.url()).expect("a URL");
    let channel = runtime.block_on(endpoint.connect()).expect("connects");
    let mut client = QueryClient::new(channel);
    let answer = runtime.block_on(client.get_coverage(v1::GetCoverageRequest::default()));
    let rows = answer.expect("answers").into_inner().rows;
    let row = |row: v1::AgentCoverage| [row.agent, row.node, row.node_arch, row.status];
    let rows: Vec<_> = rows.into_iter().map(row).collect();
    assert_eq!(rows.len(), 12);
    let json = objects(&collector, &[], 5);
    let of_json = json.iter().map(|object| {
        ["agent", "node", "node_arch", "status"].map(|field| {
            let text = object[field].as_str();
            text.expect("a text").to_owned()
        })
    });
    assert_eq!(of_json.collect::<Vec<_>>(), rows);
    let every = "native,waived,uncertified,missing,emulated,failing,stale,unknown";
    for output in ["table", "wide"] {
        let (table, _) = told(&collector, &["--status", every, "-o", output], 5);
        let lines = table.lines().skip(1).take_while(|line| !line.is_empty());
        let lines: Vec<_> = lines.filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(lines.len(), rows.len(), "{table}");
        for row in &rows {
            let has = |line: &&&str| {
                row.iter()
                    .all(|word| line.split_whitespace().any(|w| w == word))
            };
            assert!(lines.iter().any(|line| has(&line)), "{row:?} in\n{table}");
        }
    }
}
