//! Exit codes, and what goes with them.

use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::program::until_handled;
use super::support::{Collector, archtrace};

fn check(args: &[&str], code: i32, words: &str) {
    let assert = archtrace(args).assert().code(code).stdout("");
    let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(told.contains(words), "{args:?}: {told}");
    assert!(!told.contains("backtrace"), "{told}");
}

#[test]
fn failures_have_codes_of_their_own() {
    check(&["emulated", "--since", "yesterday"], 2, "24h or 7d");
    check(&["emulated", "--arch", "x86_64"], 2, "amd64");
    check(
        &["facts", "--mode", "emulatd"],
        2,
        "native, compat, emulated, failed",
    );
    check(
        &["events", "--kind", "boom"],
        2,
        "emulated_exec, failed_exec, illegal_instruction, handler_added, handler_removed, loss",
    );
    check(&["emulated", "--watch", "0"], 2, "from 0.1 to 3600");
    check(&["nodes", "-o", "yaml"], 2, "table, wide, json");
    check(&["nodes", "--server", "ftp://x"], 2, "a URL looks like");
    check(&["nodes", "--server", "https://127.0.0.1:1"], 3, "refused");
    check(
        &["facts", "--filter", "arhc = arm64"],
        2,
        "did you mean arch",
    );
    check(&["facts", "--not"], 2, "no filter behind --not");
    check(&["summary", "--by", "workload,colour"], 2, "namespace");
    check(&["summary", "--by", "arch,arch"], 2, "named twice");
    check(&["findings", "--severity", "bad"], 2, "critical");
    check(&["findings", "--finding", "bad"], 2, "emulated-process");
    check(&["nodes", "--timeout", "0"], 2, "86400");
    check(&["facts", "--watch", "--history"], 2, "cannot be used with");
    check(
        &["events", "--follow", "--limit", "3"],
        2,
        "cannot be used with",
    );
    check(
        &["nodes", "--socket", "/no/such/agent.sock"],
        3,
        "cannot reach the agent at /no/such/agent.sock: No such file",
    );
    check(&["frobnicate"], 2, "unrecognized subcommand");
    check(
        &["nodes", "--server", "http://127.0.0.1:1"],
        3,
        "archtrace-collector",
    );
    check(
        &["nodes", "--server", "127.0.0.1:1"],
        3,
        "Connection refused",
    );
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for() {
    // It takes connections, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    for command in ["nodes", "facts", "summary"] {
        check(
            &[command, "--server", &url, "--timeout", "0.5"],
            3,
            "--timeout SECONDS",
        );
    }
}

#[test]
fn every_command_has_examples() {
    let commands = [
        "emulated", "facts", "summary", "findings", "events", "images", "nodes", "scan", "matrix",
        "verify",
    ];
    for command in commands {
        let assert = archtrace(&[command, "--help"]).assert().success();
        let help = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
        let example = format!("Examples:\n  archtrace {command}");
        assert!(help.contains(&example), "{command}: {help}");
    }
}

#[test]
fn help_explains_exit_codes() {
    let assert = archtrace(&["--help"]).assert().success();
    let help = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    for words in [
        "Examples:",
        "Exit codes:",
        "ARCHTRACE_SERVER",
        "emulated",
        "status",
    ] {
        assert!(help.contains(words), "{words}");
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let collector = Collector::filled();
    let mut child = Command::new(env!("CARGO_BIN_EXE_archtrace"))
        .args(["emulated", "--watch", "0.1", "-o", "json"])
        .env("ARCHTRACE_SERVER", collector.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    // Reads a little and hangs up.
    let mut first = [0; 10];
    child
        .stdout
        .take()
        .expect("piped")
        .read_exact(&mut first)
        .expect("a line");
    let output = child.wait_with_output().expect("ends by itself");
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

/// Watches until `words` came out twice, and is interrupted.
fn watch(server: &str, signal: Signal, words: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_archtrace"))
        .args(["emulated", "--watch", "0.1", "--server", server])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let pipes: [Box<dyn Read + Send>; 2] = [
        Box::new(child.stdout.take().expect("piped")),
        Box::new(child.stderr.take().expect("piped")),
    ];
    // More lines than it prints.
    let (sender, lines) = sync_channel(10_000);
    for pipe in pipes {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                // Nobody waits for the last ones.
                let _ = sender.send(line);
            }
        });
    }
    let mut told = String::new();
    while told.matches(words).count() < 2 {
        let line = lines.recv_timeout(Duration::from_secs(60));
        told += &line.unwrap_or_else(|_| panic!("not twice {words}: {told}"));
    }
    until_handled(&child, signal);
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, signal).expect("it runs");
    assert_eq!(child.wait().expect("ends").code(), Some(0), "{told}");
}

#[test]
fn watching_goes_on_until_it_is_interrupted() {
    let collector = Collector::filled();
    for (server, words) in [
        (&*collector.url(), "/bin/running"),
        ("http://127.0.0.1:1", "Trying again"),
    ] {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            watch(server, signal, words);
        }
    }
}
