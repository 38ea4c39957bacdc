//! The program while it goes on.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::support::Collector;

/// Generous: the machine may have much else to do.
const SOON: Duration = Duration::from_secs(60);

/// The program, whose lines are read as they come.
pub(crate) struct Going {
    child: Child,
    lines: Receiver<String>,
}

/// Starts it.
pub(crate) fn start(collector: &Collector, args: &[&str]) -> Going {
    let mut child = spawn(collector, args);
    let output = BufReader::new(take_output(&mut child));
    // More lines than any of them prints.
    let (sender, lines) = sync_channel(10_000);
    std::thread::spawn(move || {
        for line in output.lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Going { child, lines }
}

/// Starts it, with nobody who reads.
pub(crate) fn spawn(collector: &Collector, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_archtrace"))
        .args(args)
        .env("ARCHTRACE_SERVER", collector.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts")
}

pub(crate) fn take_output(child: &mut Child) -> ChildStdout {
    child.stdout.take().expect("piped")
}

/// Waits for its end: its exit code, and what it said on stderr.
pub(crate) fn end(mut child: Child) -> (Option<i32>, String) {
    let deadline = Instant::now() + SOON;
    while child.try_wait().expect("it is ours").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("it is ours");
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut told = String::new();
    let mut stderr = child.stderr.take().expect("piped");
    stderr.read_to_string(&mut told).expect("text");
    (child.wait().expect("it has ended").code(), told)
}

/// Waits until a program handles `signal`: before that, it dies of it.
pub(crate) fn until_handled(child: &Child, signal: Signal) {
    let status = format!("/proc/{}/status", child.id());
    let deadline = Instant::now() + SOON;
    loop {
        let text = std::fs::read_to_string(&status).expect("it runs");
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = u64::from_str_radix(mask.expect("proc(5)").trim(), 16).expect("a mask");
        if (mask >> (signal as i32 - 1)) & 1 == 1 {
            return;
        }
        assert!(Instant::now() < deadline, "it does not handle {signal}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Going {
    /// The next line.
    pub(crate) fn line(&self) -> String {
        let line = self.lines.recv_timeout(SOON);
        line.expect("a line in time")
    }

    /// The next line as an object.
    pub(crate) fn object(&self) -> Value {
        serde_json::from_str(&self.line()).expect("JSON")
    }

    /// The next object of which `field` is one of these.
    pub(crate) fn object_of(&self, field: &str, words: &[&str]) -> Value {
        loop {
            let object = self.object();
            if words.iter().any(|word| object[field] == *word) {
                return object;
            }
        }
    }

    /// Interrupts it: its exit code, and what it said on stderr.
    pub(crate) fn interrupt(self) -> (Option<i32>, String) {
        until_handled(&self.child, Signal::SIGINT);
        let pid = i32::try_from(self.child.id()).expect("a pid");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("it runs");
        end(self.child)
    }
}
