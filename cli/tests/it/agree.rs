//! Every answer exists as a table, as JSON and by gRPC, and the three say the same: cell by cell.

mod ask;
mod cells;
mod questions;
mod told;

use archtrace_collector::fleet::Nodes;
use archtrace_facts::arch::Arch::{Amd64, Arm64};
use archtrace_facts::fact::{EventKind, Mode};
use serde_json::Value;

use self::ask::Asker;
use self::cells::{Table, cell};
use self::questions::{QUESTIONS, Question, Shape};
use self::told::Told;
use super::cost::{PRICES, wait_for_machine};
use super::records::instruction;
use super::support::fleet::{arm64, container};
use super::support::{Collector, Setup, event, key};

/// An agent for each way to be.
const POLICY: &str = "
agents:
- name: audit
  match: {unit: auditd.service}
- name: emulated
  match: {namespace: pay, executable: /bin/running}
- name: native
  match: {namespace: shop, executable: /web}
";

/// A fleet of which each answer has something to tell, of more than one node where that matters.
fn fleet() -> (Collector, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let nodes = dir.path().join("nodes");
    std::fs::write(&nodes, "n1 type=m7g.large\nn2\nn9\n").expect("writes");
    let worker = key("/bin/worker", Amd64, Mode::Native);
    let death = event(
        EventKind::IllegalInstruction,
        worker,
        0,
        Some(instruction()),
        0,
    );
    let collector = Collector::new(Setup {
        records: Some(vec![death]),
        nodes: Nodes::File(nodes),
        policy: Some(POLICY),
        ..Setup::default()
    });
    wait_for_machine(&collector, "m7g.large");
    let web = container(
        "web-1",
        &[
            ("/web", Arm64, Mode::Native),
            ("/opt/x", Amd64, Mode::Emulated),
        ],
    );
    collector.report(&arm64("n2", vec![web]));
    (collector, dir)
}

fn printed(collector: &Collector, args: &[&str], code: i32) -> String {
    let assert = collector.archtrace(args).assert().code(code);
    String::from_utf8(assert.get_output().stdout.clone()).expect("text")
}

/// Rows of JSON, each with the object that it is in.
fn json_rows(text: &str, rows: &str) -> Vec<(Value, Value)> {
    let mut all = Vec::new();
    for line in text.lines() {
        let object: Value = serde_json::from_str(line).expect("JSON");
        if rows.is_empty() {
            all.push((object.clone(), object));
            continue;
        }
        let within = object.pointer(rows).and_then(Value::as_array);
        let within = within.expect("rows").clone();
        all.extend(within.into_iter().map(|row| (row, object.clone())));
    }
    all
}

/// Rows of the table, by their columns.
fn table_rows(text: &str, shape: Shape) -> Vec<Vec<(String, String)>> {
    match shape {
        Shape::Rows => Table::read(text).rows,
        Shape::Pairs => {
            let mut rows = Table::of_pairs(text).rows;
            // Source, number and time are in one line.
            for row in &mut rows {
                let policy = cell(row, "policy").to_owned();
                let words: Vec<_> = policy.splitn(3, ", ").collect();
                let agents = words[1].trim_end_matches(" agent(s)").to_owned();
                row.retain(|(name, _)| name != "policy");
                row.push(("policy".to_owned(), words[0].to_owned()));
                row.push(("policy agents".to_owned(), agents));
            }
            rows
        }
        Shape::Below(is_meant) => {
            let (_, below) = text.split_once("\n\n").expect("a table below");
            let mut rows = Table::read(below).rows;
            rows.retain(|row| is_meant(cell(row, "WHY")));
            rows
        }
        Shape::Verdict => {
            // not_native: 0 of 1 pod(s) of namespace ...
            let words: Vec<_> = text.split_whitespace().collect();
            let [verdict, native, "of", pods, ..] = &*words else {
                panic!("{text}");
            };
            let named = [("verdict", verdict), ("native", native), ("pods", pods)];
            let named =
                named.map(|(name, word)| (name.to_owned(), word.trim_end_matches(':').to_owned()));
            vec![named.to_vec()]
        }
    }
}

fn check(collector: &Collector, asker: &mut Asker, question: &Question, more: &[&str]) {
    let Question {
        command,
        code,
        shape,
        rows,
        ask,
        fields,
    } = question;
    let command = [command, more].concat();
    let told = ask(asker);
    assert!(!told.is_empty(), "{command:?} has nothing to tell");
    let table = printed(collector, &command, *code);
    let json = command.iter().copied();
    let json: Vec<_> = json
        .filter(|word| !matches!(*word, "-o" | "wide"))
        .collect();
    let json = printed(collector, &[&*json, &["-o", "json"]].concat(), *code);
    let objects = json_rows(&json, rows);
    let lines = table_rows(&table, *shape);
    let sizes = (objects.len(), lines.len());
    assert_eq!(
        sizes,
        (told.len(), told.len()),
        "{command:?}\n{json}\n{table}"
    );
    // Some commands have another order than the answer by gRPC.
    let mut left = told;
    for ((object, whole), line) in objects.iter().zip(&lines) {
        let is_json = |value: &Told, pointer: &str| {
            let found = object.pointer(pointer).or_else(|| whole.pointer(pointer));
            pointer.is_empty() || value.is_json(found.unwrap_or(&Value::Null))
        };
        let is_it = |row: &Vec<Told>| {
            assert_eq!(row.len(), fields.len(), "{command:?}: {row:?}");
            let mut values = row.iter().zip(*fields);
            values.all(|(value, (_, pointer))| is_json(value, pointer))
        };
        let Some(place) = left.iter().position(is_it) else {
            panic!("{command:?}: {object:#}\nis none of {left:#?}");
        };
        for (value, (column, _)) in left.remove(place).iter().zip(*fields) {
            if let Some(text) = value.in_table().filter(|_| !column.is_empty()) {
                assert_eq!(
                    cell(line, column),
                    text,
                    "{command:?}: {column} in\n{table}"
                );
            }
        }
    }
}

#[test]
fn every_answer_is_the_same_in_each_form() {
    let (collector, dir) = fleet();
    let mut asker = Asker::of(&collector);
    let prices = dir.path().join("prices.toml");
    std::fs::write(&prices, PRICES).expect("writes");
    let prices = prices.display().to_string();
    for question in &QUESTIONS {
        let more = match question.command {
            [.., "--prices"] => &[&*prices][..],
            _ => &[],
        };
        check(&collector, &mut asker, question, more);
    }
}
