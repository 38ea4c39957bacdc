//! What emulation costs: in CPU time, and in money.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use archtrace_collector::fleet::Nodes;
use serde_json::Value;

use super::answers::{objects, printed};
use super::support::{Collector, Setup, archtrace};

pub(crate) const PRICES: &str =
    "currency = \"EUR\"\n[machines.\"m7g.large\"]\nper_hour = 7200\ncpus = 2\n";

fn file(collector: &Collector, name: &str, text: &str) -> String {
    let path = collector.dir().join(name);
    std::fs::write(&path, text).expect("writes");
    path.display().to_string()
}

/// A collector whose list says that `n1` is this machine, and whose store knows it.
fn with_machine(kind: &str) -> (Collector, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let nodes: PathBuf = dir.path().join("nodes");
    std::fs::write(&nodes, format!("n1 type={kind}\n")).expect("writes");
    let collector = Collector::new(Setup {
        nodes: Nodes::File(nodes),
        ..Setup::default()
    });
    wait_for_machine(&collector, kind);
    (collector, dir)
}

/// Waits until the store knows what machine `n1` is.
pub(crate) fn wait_for_machine(collector: &Collector, kind: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let args = ["cost", "--by", "instance-type", "-o", "json"];
    loop {
        // Nodes that are silent are warned of on stderr.
        let told = collector.archtrace(&args).assert().success();
        let told: Value = serde_json::from_slice(&told.get_output().stdout).expect("an object");
        if told["instance_type"] == kind {
            return;
        }
        assert!(Instant::now() < deadline, "{kind} never became known");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn cpu_time_is_told_by_what_is_asked_for() {
    let collector = Collector::filled();
    for (args, field, value, seconds) in [
        (&["cost"][..], "workload", "Deployment/api", 4.5),
        (&["cost", "--by", "node"], "node", "n1", 4.5),
        (&["cost", "--by", "zone"], "zone", "", 4.5),
        (&["cost", "--by", ""], "currency", "", 4.5),
        (&["cost", "-n", "p*"], "namespace", "pay", 4.5),
    ] {
        let told = objects(&collector, args);
        assert_eq!(told.len(), 1, "{args:?}");
        assert_eq!(told[0]["cpu_seconds"], seconds, "{args:?}");
        let told = told[0][field].as_str().unwrap_or_default();
        assert_eq!(told, value, "{args:?}");
    }
    let days = objects(&collector, &["cost", "--by", "day,node", "--since", "all"]);
    let sum: f64 = days
        .iter()
        .map(|day| day["cpu_seconds"].as_f64().expect("a number"))
        .sum();
    assert!(days.len() >= 2 && (sum - 4.5).abs() < 1e-6, "{days:#?}");
    let order: Vec<_> = days.iter().map(|day| day["day"].as_str()).collect();
    assert!(order.is_sorted(), "{order:?}");
    let none = collector.archtrace(&["cost", "-n", "other"]);
    let told = { none }.assert().success().stdout("");
    let told = String::from_utf8_lossy(&told.get_output().stderr).into_owned();
    assert!(told.contains("no CPU time under emulation"), "{told}");
}

#[test]
fn money_is_told_with_what_it_stands_on() {
    let (collector, _dir) = with_machine("m7g.large");
    let prices = file(&collector, "prices.toml", PRICES);
    let args = ["cost", "--prices", &prices, "--slowdown", "4"];
    let told = &objects(&collector, &args)[0];
    // An EUR a second and CPU.
    for (field, value) in [
        ("/cost", 4.5),
        ("/avoidable_cost", 3.375),
        ("/avoidable_cpu_seconds", 3.375),
        ("/machine_seconds", 2.25),
        ("/unpriced_cpu_seconds", 0.0),
        ("/shares/0/cost_of_cpu_second", 1.0),
    ] {
        let told = told.pointer(field).and_then(Value::as_f64);
        assert_eq!(told, Some(value), "{field}");
    }
    assert_eq!(told["currency"], "EUR");
    let table = printed(&collector, &args);
    let row = table.lines().nth(1).expect("a row");
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(
        words,
        [
            "pay",
            "Deployment/api",
            "4.50s",
            "3.38s",
            "2.25s",
            "0s",
            "4.50",
            "3.38"
        ]
    );
    for part in [
        "in all: CPU 4.50s",
        "on m7g.large: 1.00 EUR",
        "4 times as long as native execution (--slowdown)",
    ] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
}

#[test]
fn what_has_no_price_is_said() {
    let collector = Collector::filled();
    let prices = file(&collector, "prices.toml", PRICES);
    let args = ["cost", "--prices", &prices, "-o", "json"];
    let check = |collector: &Collector, part: &str| {
        let told = collector.archtrace(&args).assert().success();
        let output = told.get_output();
        let warning = String::from_utf8_lossy(&output.stderr);
        assert!(warning.contains(part), "{warning}");
        let told: Value = serde_json::from_slice(&output.stdout).expect("an object");
        assert_eq!(told["unpriced_cpu_seconds"], 4.5);
        assert_eq!(told["cost"], Value::Null, "that is not 0");
        assert_eq!(told["shares"][0]["cost"], Value::Null);
    };
    check(
        &collector,
        "4.50s on 1 node(s) of which it is not known what machines they are (n1)",
    );
    let (collector, _dir) = with_machine("c7g.large");
    check(
        &collector,
        "4.50s on 1 node(s) of type c7g.large, which has no price in the table",
    );
}

#[test]
fn bad_tables_are_refused_before_anybody_is_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("prices.toml");
    std::fs::write(
        &path,
        "currency = \"EUR\"\n[machines.x]\nper_hour = 0\ncpus = 2\n",
    )
    .expect("writes");
    let collector = Collector::empty();
    let path = path.display().to_string();
    for (args, part) in [
        (&["cost", "--prices", &path][..], ":2: machine 'x': a price"),
        (&["cost", "--prices", "/no/such"], "/no/such: No such file"),
        (&["cost", "--slowdown", "1"], "a number above 1"),
        (&["cost", "--by", "day,day"], "day is named twice"),
        (&["cost", "--by", "pod"], "instance-type"),
    ] {
        let told = collector.archtrace(args).assert().code(2);
        let told = String::from_utf8_lossy(&told.get_output().stderr).into_owned();
        assert!(told.contains(part), "{args:?}: {told}");
    }
    archtrace(&["cost", "--help"]).assert().success();
}
