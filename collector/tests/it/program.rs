//! The program: its exit codes, and what it says.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A collector of its own process, listening on a free port.
pub(crate) struct Process {
    pub(crate) url: String,
    child: Child,
}

impl Process {
    pub(crate) fn start(store: &Path, listen: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_archtrace-collector"))
            .args([
                "--listen",
                listen,
                "--heartbeat-interval",
                "10s",
                "--log",
                "info",
                // What these tests tell of happened in 2023.
                "--keep-events",
                "36500d",
                "--keep-history",
                "36500d",
            ])
            .arg("--store")
            .arg(format!("sqlite:{}", store.display()))
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let address = loop {
            let line = lines.next().expect("says where it listens").expect("text");
            if let Some((_, rest)) = line.split_once("address=") {
                break rest.split(' ').next().expect("one word").to_owned();
            }
        };
        let warning = lines.next().expect("one more").expect("text");
        assert!(
            warning.contains("every peer may report and read"),
            "{warning}"
        );
        // Reads on, so that it can write on.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            url: format!("http://{address}"),
            child,
        }
    }

    /// Sends a signal and returns the exit code.
    pub(crate) fn end(mut self, signal: Signal) -> Option<i32> {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("it runs");
        self.child.wait().expect("ends").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After an end there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn check(args: &[&str], code: i32, words: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_archtrace-collector"))
        .args(args)
        .env("RUST_LOG", "info")
        .output()
        .expect("starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
    assert!(told.contains(words), "{args:?}: {told}");
    assert!(!told.contains("backtrace"), "{told}");
}

#[test]
fn failures_have_codes_of_their_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = format!("sqlite:{}", dir.path().join("store.db").display());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("bound").to_string();
    let _listener = TcpListener::bind(&taken);
    check(&["--listen", "nowhere"], 2, "invalid socket address");
    check(
        &["--listen", "0.0.0.0:0", "--store", &store],
        2,
        "--insecure-plaintext",
    );
    check(&["--store", "oracle:x"], 2, "sqlite:PATH");
    check(&["--log", "archtrace=loud"], 2, "--log");
    check(
        &[
            "--listen",
            "192.0.2.1:1",
            "--insecure-plaintext",
            "--store",
            &store,
        ],
        3,
        "choose another",
    );
    let web = [
        "--listen",
        "127.0.0.1:0",
        "--store",
        &store,
        "--web-listen",
        &taken,
    ];
    check(&web, 3, "another with --web-listen");
    check(
        &[
            "--listen",
            "127.0.0.1:0",
            "--store",
            "sqlite:/nonexistent/x.db",
        ],
        4,
        "cannot open the store",
    );
    let policy = dir.path().join("policy.yaml");
    std::fs::write(&policy, "agents:\n- name: a\n  macht: {}\n").expect("written");
    let policy = policy.to_str().expect("text");
    let wrong = format!("{policy}:3: unknown field `macht`");
    let serves = ["--listen", "127.0.0.1:0", "--store", &store, "--policy"];
    check(&[&serves[..], &[policy]].concat(), 7, &wrong);
    check(&["check-policy", policy], 7, &wrong);
    let config = dir.path().join("config.json");
    std::fs::write(&config, r#"{"auths": {"r.example": {"auth": "s3cret!"}}}"#).expect("written");
    let config = config.to_str().expect("text");
    let wrong =
        format!("--registry-config {config}: auths, 'r.example': auth is no base64; docker login");
    let asks = [
        "--listen",
        "127.0.0.1:0",
        "--store",
        &store,
        "--registry-check",
    ];
    check(
        &[&asks[..], &["--registry-config", config]].concat(),
        9,
        &wrong,
    );
    for (option, words) in [
        (
            "--registry-config",
            "cannot read --registry-config /nonexistent",
        ),
        ("--registry-ca", "--registry-ca: cannot use /nonexistent"),
    ] {
        check(&[&asks[..], &[option, "/nonexistent"]].concat(), 9, words);
    }
    check(
        &["check-policy", "/nonexistent"],
        7,
        "cannot read the policy",
    );
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.example.yaml");
    check(&["check-policy", example], 0, "");
}

#[test]
fn signals_end_it_in_good_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = dir.path().join("store.db");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        assert_eq!(Process::start(&store, "127.0.0.1:0").end(signal), Some(0));
    }
}

#[test]
fn help_explains_exit_codes() {
    let output = Command::new(env!("CARGO_BIN_EXE_archtrace-collector"))
        .arg("--help")
        .output();
    let help = String::from_utf8(output.expect("starts").stdout).expect("text");
    for words in [
        "Examples:",
        "Exit codes:",
        "ARCHTRACE_LISTEN",
        "ARCHTRACE_STORE",
    ] {
        assert!(help.contains(words), "{words}");
    }
}
