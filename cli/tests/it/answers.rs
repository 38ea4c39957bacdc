//! What the commands print.

use serde_json::Value;

use super::support::Collector;

/// What a command prints; it says nothing else.
pub(crate) fn printed(collector: &Collector, args: &[&str]) -> String {
    let output = collector
        .archtrace(args)
        .assert()
        .success()
        .stderr("")
        .get_output()
        .stdout
        .clone();
    String::from_utf8(output).expect("text")
}

pub(crate) fn objects(collector: &Collector, args: &[&str]) -> Vec<Value> {
    let text = printed(collector, &[args, &["-o", "json"]].concat());
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn values<'a>(objects: &'a [Value], field: &str) -> Vec<&'a str> {
    objects
        .iter()
        .map(|object| object[field].as_str().expect("a text"))
        .collect()
}

/// Names of the fields of the first line, as they stand there.
fn fields(text: &str) -> Vec<&str> {
    let line = text.lines().next().expect("a line");
    let names = line
        .split('"')
        .enumerate()
        .filter(|(i, _)| i % 2 == 1)
        .map(|(_, word)| word);
    let ends: Vec<_> = line
        .match_indices('"')
        .map(|(at, _)| at)
        .skip(1)
        .step_by(2)
        .collect();
    names
        .zip(ends)
        .filter(|(_, end)| line[end + 1..].starts_with(':'))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn emulated_tells_the_last_day() {
    let collector = Collector::filled();
    for (args, binaries) in [
        (&["emulated"][..], &["/bin/running", "/bin/ended"][..]),
        (&["emulated", "--running"], &["/bin/running"]),
        (
            &["emulated", "--since", "48h"],
            &["/bin/running", "/bin/ended", "/bin/old"],
        ),
        (
            &["emulated", "--since", "all"],
            &["/bin/running", "/bin/ended", "/bin/old"],
        ),
        (
            &["emulated", "--arch", "arm64,386", "--node", "n1"],
            &["/bin/running", "/bin/ended"],
        ),
    ] {
        assert_eq!(
            values(&objects(&collector, args), "binary"),
            binaries,
            "{args:?}"
        );
    }
}

#[test]
fn facts_are_filtered() {
    let collector = Collector::filled();
    for (args, binaries) in [
        (&["facts", "--mode", "native"][..], &["/bin/true"][..]),
        (
            &["facts", "--mode", "native,failed"],
            &["/bin/true", "relative"],
        ),
        (
            &["facts", "--mode", "native", "--mode", "failed"],
            &["/bin/true", "relative"],
        ),
        (&["facts", "--since", "90m"], &["/bin/running", "/bin/true"]),
    ] {
        assert_eq!(
            values(&objects(&collector, args), "binary"),
            binaries,
            "{args:?}"
        );
    }
}

#[test]
fn fields_of_facts_have_a_fixed_order() {
    let collector = Collector::filled();
    let text = printed(&collector, &["facts", "-o", "json"]);
    let expected = "node node_arch namespace pod container cgroup binary arch mode emulator count \
        processes cpu_seconds first_seen last_seen path_resolved cause cluster current via pod_uid container_id \
        unit image image_id image_arch workload restart_attempt last_exit_code last_exit_reason labels app \
        ended coverage reporting stale unknown";
    assert_eq!(
        fields(&text),
        expected.split_whitespace().collect::<Vec<_>>()
    );
    let facts = objects(&collector, &["emulated", "--running"]);
    let fact = &facts[0];
    assert_eq!(
        (&fact["count"], &fact["processes"]),
        (&1234.into(), &2.into())
    );
    assert_eq!(
        (&fact["cpu_seconds"], &fact["cause"]),
        (&1.5.into(), &Value::Null)
    );
    assert_eq!(fact["via"], "binfmt_misc");
    assert_eq!(
        (&fact["pod"], &fact["emulator"]),
        (&"api-7c9".into(), &"/usr/bin/qemu-aarch64".into())
    );
    let time = fact["last_seen"].as_str().expect("a text");
    assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    let failed = &objects(&collector, &["facts", "--mode", "failed"])[0];
    assert_eq!(
        (&failed["emulator"], &failed["cause"]),
        (&Value::Null, &"foreign_elf".into())
    );
    assert_eq!(
        (&failed["path_resolved"], &failed["via"]),
        (&false.into(), &Value::Null)
    );
}

#[test]
fn fields_of_events_have_a_fixed_order() {
    let collector = Collector::filled();
    let text = printed(&collector, &["events", "-o", "json"]);
    let expected = "node time kind pid comm binary arch cause errno emulator namespace pod container \
        cgroup path_resolved cluster count via instruction handler message pod_uid container_id \
        unit image image_id image_arch workload restart_attempt last_exit_code last_exit_reason labels app \
        coverage reporting stale unknown";
    assert_eq!(
        fields(&text),
        expected.split_whitespace().collect::<Vec<_>>()
    );
    let events = objects(&collector, &["events"]);
    assert_eq!(
        values(&events, "kind"),
        ["emulated_exec", "loss", "failed_exec"]
    );
    let [emulated, loss, failed] = &events[..] else {
        panic!("three were stored")
    };
    assert_eq!(
        (&emulated["errno"], &emulated["cause"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&failed["errno"], &failed["cause"]),
        (&8.into(), &"foreign_elf".into())
    );
    assert_eq!(
        (&emulated["via"], &failed["via"], &emulated["count"]),
        (&"binfmt_misc".into(), &Value::Null, &5.into())
    );
    assert_eq!(
        (&loss["cause"], &loss["count"]),
        (&"ring_buffer".into(), &9.into())
    );
    assert_eq!(loss["until"], loss["time"]);
    for (args, kinds) in [
        (&["events", "--kind", "loss"][..], &["loss"][..]),
        (
            &["events", "--kind", "loss,failed_exec"],
            &["loss", "failed_exec"],
        ),
        (&["events", "--mode", "failed"], &["failed_exec"]),
        (&["events", "--limit", "1"], &["emulated_exec"]),
        (&["events", "--since", "150m"], &["emulated_exec", "loss"]),
    ] {
        assert_eq!(
            values(&objects(&collector, args), "kind"),
            kinds,
            "{args:?}"
        );
    }
}

#[test]
fn nodes_tell_how_well_they_can_watch() {
    let collector = Collector::filled();
    let nodes = objects(&collector, &["nodes"]);
    let [node] = &nodes[..] else {
        panic!("one has reported")
    };
    assert_eq!(
        (&node["node"], &node["state"]),
        (&"n1".into(), &"reporting".into())
    );
    assert_eq!(
        (&node["facts"], &node["emulated_facts"]),
        (&5.into(), &3.into())
    );
    assert_eq!(node["emulated_processes"], 2);
    let hook = &node["preflight"]["hooks"][0];
    assert_eq!(
        (&hook["name"], &hook["tier"]),
        (&"header".into(), &1.into())
    );
    assert_eq!(
        (&hook["mechanism"], &hook["proven"]),
        (&"fentry".into(), &true.into())
    );
    let handler = &node["preflight"]["handlers"][0];
    assert_eq!(
        (&handler["arch"], &handler["since"]),
        (&"arm64".into(), &"2023-11-14T22:13:20Z".into())
    );
    assert_eq!(
        (&node["cpu_generation"], &node["cpu_features"][1]),
        (&"Graviton3".into(), &"sve".into())
    );
    assert_eq!(
        (&node["runs_32bit"], &node["lockdown"]),
        (&false.into(), &"integrity".into())
    );
    assert_eq!(node["preflight"]["uncovered"][0]["runtime"], "gvisor");
    let status = &objects(&collector, &["status"])[0];
    assert_eq!(
        (&status["nodes_reporting"], &status["events"]),
        (&1.into(), &2.into())
    );
    assert_eq!(status["losses"][0]["count"], 9);
}

#[test]
fn tables_are_for_people() {
    let collector = Collector::filled();
    for (args, words) in [
        (
            &["emulated"][..],
            &[
                "NODE",
                "EMULATOR",
                "/bin/running",
                "1,234",
                "1.50s",
                "2h ago",
            ][..],
        ),
        (
            &["emulated", "-o", "wide"],
            &["CGROUP", "/kubepods/x", "/bin/ended", "VIA", "binfmt_misc"],
        ),
        (
            &["emulated", "--since", "48h"],
            &["VIA", "binfmt_misc", "build"],
        ),
        (&["facts"], &["MODE", "native", "relative (as given)"]),
        (
            &["events"],
            &[
                "WHY",
                "riscv64 file",
                "(ENOEXEC)",
                "ring_buffer: 9 within 1h 00m",
            ],
        ),
        (
            &["events", "-o", "wide"],
            &["/kubepods/x", "by /usr/bin/qemu-aarch64"],
        ),
        (
            &["nodes"],
            &["TIER", "reporting", "6.1.0", "Graviton3", "NOT COVERED"],
        ),
        (
            &["nodes", "-o", "wide"],
            &[
                "hook header",
                "because",
                "handler qemu-aarch64",
                "(F), since 2023-11-14T22:13:20Z",
                "gvisor: /kubepods/y",
                "Graviton3",
                "bf16 sve",
                "do not run",
                "integrity",
                "something",
            ],
        ),
        (
            &["status"],
            &["development mode", "nodes reporting", "sqlite:test"],
        ),
    ] {
        let text = printed(&collector, args);
        for word in words {
            assert!(text.contains(word), "{word} in\n{text}");
        }
        assert!(!text.contains('\x1b'), "colour is for terminals:\n{text}");
    }
    let usual = printed(&collector, &["emulated"]);
    assert!(
        !usual.contains("VIA"),
        "all came in the usual way:\n{usual}"
    );
}

#[test]
fn nothing_is_explained_on_stderr() {
    let (empty, filled) = (Collector::empty(), Collector::filled());
    for (collector, args, words) in [
        (&empty, &["emulated"][..], "no node has reported"),
        (&empty, &["nodes"], "no node has reported"),
        (
            &filled,
            &["emulated", "--pod", "x"],
            "no emulated processes seen in the last 24 h on 1 node(s)",
        ),
        (
            &filled,
            &["emulated", "--pod", "x", "-o", "json"],
            "no emulated processes seen",
        ),
        (
            &filled,
            &["emulated", "--running", "--arch", "s390x"],
            "no emulated processes running",
        ),
        (&filled, &["facts", "--node", "n2"], "no node of that name"),
        (&filled, &["events", "--since", "5s"], "in the last 5 s"),
    ] {
        let assert = collector.archtrace(args).assert().success().stdout("");
        let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(told.contains(words), "{args:?}: {told}");
    }
}
