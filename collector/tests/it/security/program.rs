//! The program under attack: what it logs, and what it does when files run out.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use archtrace_proto::v1;
use archtrace_proto::v1::sync_request::Message as Request;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::peers::{self, Ca, Client, Files, hello, until};
use super::tokens::{Signer, claims, jwks};
use crate::support::Agent;

/// A collector of its own process, whose log is a file.
struct Program {
    child: Child,
    log: PathBuf,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Program {
    fn start(log: &str, options: &[&str]) -> Self {
        Self::run(
            Command::new(env!("CARGO_BIN_EXE_archtrace-collector")),
            log,
            options,
        )
    }

    /// It may have so many files open.
    fn start_with_files(files: u32, options: &[&str]) -> Self {
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--nofile={files}:{files}"))
            .arg(env!("CARGO_BIN_EXE_archtrace-collector"));
        Self::run(command, "info", options)
    }

    fn run(mut command: Command, log: &str, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("log");
        let child = command
            .args(["--listen", "127.0.0.1:0", "--log", log])
            .arg("--store")
            .arg(format!("sqlite:{}", dir.path().join("store.db").display()))
            .args(options)
            .stderr(File::create(&file).expect("a file"))
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        let deadline = Instant::now() + Duration::from_secs(60);
        let address = loop {
            let log = peers::text(&file);
            let told = log.lines().find_map(|line| line.split_once("address="));
            if let Some((_, rest)) = told {
                break rest.split(' ').next().expect("one word").to_owned();
            }
            assert!(Instant::now() < deadline, "does not listen: {log}");
            std::thread::sleep(Duration::from_millis(50));
        };
        Self {
            child,
            log: file,
            address: address.parse().expect("an address"),
            _dir: dir,
        }
    }

    fn log(&self) -> String {
        peers::text(&self.log)
    }

    fn lines_with(&self, words: &str) -> usize {
        self.log()
            .lines()
            .filter(|line| line.contains(words))
            .count()
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    fn end(mut self) -> Option<i32> {
        kill(self.pid(), Signal::SIGTERM).expect("it runs");
        self.child.wait().expect("ends").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // After an end there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn args(files: &Files) -> Vec<String> {
    let path = |name: &str| files.path(name).display().to_string();
    let named = [
        ("--tls-cert", path("tls.crt")),
        ("--tls-key", path("tls.key")),
        ("--client-ca", path("ca.crt")),
        ("--token-jwks", path("jwks")),
        ("--token-audience", "archtrace".to_owned()),
        (
            "--agent-subject",
            "system:serviceaccount:archtrace:agent".to_owned(),
        ),
    ];
    let named = named.into_iter();
    named
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
}

#[tokio::test]
async fn refusals_are_logged_once_and_secrets_never() {
    let ca = Ca::new();
    let files = Files::new(&ca);
    let signer = Signer::ec("one");
    files.write("jwks", &jwks(&[&signer]));
    let args = args(&files);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    // All there is to log, that of libraries included.
    let program = Program::start("trace", &args);
    let good = signer.sign(&claims(&json!({})));
    let expired = signer.sign(&claims(&json!({ "exp": 1 })));
    let secret = "a-password-in-the-wrong-place".to_owned();
    let by = |token: &String| {
        let mut client = Client::new(program.address, &ca.pem, None);
        client.token = Some(token.clone());
        client
    };
    by(&good).report(&hello("node-1")).await.expect("welcome");
    for _ in 0..5 {
        by(&good)
            .report(&hello("node-2"))
            .await
            .expect_err("another node");
        by(&good).status().await.expect_err("an agent that reads");
        by(&expired)
            .report(&hello("node-1"))
            .await
            .expect_err("expired");
        by(&secret)
            .report(&hello("node-1"))
            .await
            .expect_err("no token");
    }
    let agent = Client::new(program.address, &ca.pem, Some(&ca.agent("node-1")));
    agent.report(&hello("node-1")).await.expect("welcome");
    for reason in ["node_mismatch", "permission_denied", "unauthenticated"] {
        let words = format!("reason=\"{reason}\"");
        assert_eq!(program.lines_with(&words), 1, "{reason}: {}", program.log());
    }
    let key = peers::text(&files.path("tls.key"));
    let key_line = key.lines().nth(1).expect("base64").to_owned();
    let log = program.log();
    for token in [&good, &expired] {
        for part in token.split('.').skip(1) {
            assert!(!log.contains(part), "a part of a token is in the log");
        }
    }
    assert!(!log.contains(&secret), "a secret is in the log");
    assert!(!log.contains(&key_line), "the key is in the log");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn options_that_cannot_be_used_say_so() {
    let ca = Ca::new();
    let files = Files::new(&ca);
    files.write("jwks", "{}");
    let run = |words: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_archtrace-collector"))
            .args(["--listen", "127.0.0.1:0", "--store"])
            .arg(format!("sqlite:{}", files.path("store.db").display()))
            .args(args(&files))
            .output()
            .expect("starts");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{told}");
        assert!(told.contains(words), "{words}: {told}");
        assert!(!told.contains("PRIVATE"), "{told}");
    };
    run("JSON Web Key Set");
    files.write("tls.key", &ca.server().key);
    run("--tls-cert with --tls-key");
    files.write("tls.key", "");
    run("--tls-key");
    files.write("ca.crt", "");
    files.serve_as(&ca.server());
    run("--client-ca");
}

/// As many as the process may have open.
fn open_many_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("up to the limit");
}

/// Changes how many files another process may have open.
fn limit_files(pid: Pid, files: u32) {
    let status = Command::new("prlimit")
        .args([
            "--pid",
            &pid.to_string(),
            &format!("--nofile={files}:{files}"),
        ])
        .status();
    assert!(status.expect("util-linux has prlimit").success());
}

#[tokio::test]
async fn ten_thousand_half_open_connections() {
    open_many_files();
    let program = Program::start_with_files(1000, &["--heartbeat-interval", "60s"]);
    let (mut agent, _) = Agent::attach(&program.url(), &hello("n")).await;
    let beat = || Request::Heartbeat(v1::Heartbeat::default());
    let address = program.address;
    let open = move |count: usize| {
        let open = |_| TcpStream::connect_timeout(&address, Duration::from_secs(20)).ok();
        (0..count).map_while(open).collect::<Vec<_>>()
    };
    let opened = tokio::task::spawn_blocking(move || open(10_000));
    while !opened.is_finished() {
        agent
            .ask(beat())
            .await
            .expect("an agent that is there goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let opened = opened.await.expect("no panic");
    assert_eq!(opened.len(), 10_000, "they are taken in or closed");
    assert_eq!(
        program.lines_with("as many connections as there may be"),
        1,
        "said once"
    );

    // Less than was counted on at the start: now the system has no file for a connection.
    limit_files(program.pid(), 100);
    let more = tokio::task::spawn_blocking(move || open(500));
    until("files run out", async || {
        agent.ask(beat()).await.expect("it goes on");
        program.lines_with("Too many open files") > 0
    })
    .await;
    let before = cpu_time(program.pid());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let spent = cpu_time(program.pid()).saturating_sub(before);
    assert!(spent < Duration::from_secs(2), "it spins: {spent:?} of 3 s");
    assert_eq!(program.lines_with("Too many open files"), 1, "said once");
    agent.ask(beat()).await.expect("it still goes on");

    drop((opened, more.await.expect("no panic")));
    let url = program.url();
    until("there is room again", async || {
        let new = tokio::time::timeout(Duration::from_secs(20), welcomed(&url));
        new.await.is_ok_and(|welcomed| welcomed)
    })
    .await;
    agent.ask(beat()).await.expect("and goes on");
    assert_eq!(program.end(), Some(0));
}

async fn welcomed(url: &str) -> bool {
    let Ok(endpoint) = tonic::transport::Endpoint::from_shared(url.to_owned()) else {
        return false;
    };
    let Ok(channel) = endpoint.connect().await else {
        return false;
    };
    let hello = v1::SyncRequest {
        message: Some(Request::Hello((&hello("late")).into())),
    };
    let mut client = v1::agent_ingest_client::AgentIngestClient::new(channel);
    client.sync(tokio_stream::iter([hello])).await.is_ok()
}

/// What a process has used so far (proc(5)).
fn cpu_time(pid: Pid) -> Duration {
    let stat = peers::text(Path::new(&format!("/proc/{pid}/stat")));
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum();
    // USER_HZ is 100 on all architectures that matter.
    Duration::from_millis(ticks * 10)
}
