//! One command, from its start to its end.

use std::io::Read;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// What it printed.
    pub(crate) fn told(&self) -> String {
        [&*self.stdout, &*self.stderr].concat()
    }

    /// Those of these lines that it did not print, in this order. Any number stands for any other, and `...` for
    /// anything.
    pub(crate) fn missing<'a>(&self, lines: &'a [String]) -> Vec<&'a str> {
        let mut printed = self.stdout.lines();
        let mut was_printed = |line: &str| printed.any(|printed| is_like(line, printed));
        let missing = lines.iter().filter(|line| !was_printed(line));
        missing.map(String::as_str).collect()
    }
}

/// Whether a line of a document is what a program printed, apart from the width of columns.
fn is_like(line: &str, printed: &str) -> bool {
    let [line, printed] = [line, printed].map(shape);
    let mut rest = printed.as_str();
    let mut parts = line.split("...").map(str::trim);
    let begins = parts
        .next()
        .is_some_and(|first| match rest.strip_prefix(first) {
            Some(behind) => {
                rest = behind;
                true
            }
            None => false,
        });
    let mut ends_open = false;
    let all = parts.all(|part| {
        ends_open = part.is_empty();
        match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        }
    });
    begins && all && (ends_open || rest.trim().is_empty())
}

/// One space between words, and numbers without their digits. What is of this moment may be some seconds old on a slow
/// machine.
fn shape(line: &str) -> String {
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shape = String::new();
    for letter in words.chars() {
        match letter {
            '0'..='9' if shape.ends_with('#') => {}
            ',' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            letter => shape.push(letter),
        }
    }
    shape.replace("#s ago", "now")
}

/// Runs it, and ends it as Ctrl-C does once it printed `after`.
pub(crate) fn run(
    command: &mut Command,
    after: Option<&str>,
    patience: Duration,
) -> Result<Ended, String> {
    let deadline = Instant::now() + patience;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // What it starts gets the signal, too, and nothing else does.
        .process_group(0)
        .spawn();
    let mut child = child.map_err(|error| format!("does not start: {error}"))?;
    let heard = [listen(child.stdout.take()), listen(child.stderr.take())];
    let told = |at: usize| -> String {
        let bytes = heard[at]
            .said
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let mut waiting = after;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        if waiting.is_some_and(|after| told(0).contains(after) || told(1).contains(after)) {
            waiting = None;
            signal(&child, Signal::SIGINT);
        }
        if Instant::now() > deadline {
            signal(&child, Signal::SIGKILL);
            let _ = child.wait();
            return Err(format!("does not end:\n{}{}", told(0), told(1)));
        }
        thread::sleep(Duration::from_millis(10));
    };
    let (stdout, stderr) = (told_all(&heard[0]), told_all(&heard[1]));
    if let Some(after) = waiting {
        return Err(format!(
            "ends by itself, and does not say {after}:\n{stdout}{stderr}"
        ));
    }
    // As a shell tells of a signal.
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(Ended {
        code,
        stdout,
        stderr,
    })
}

fn signal(child: &Child, signal: Signal) {
    if let Ok(group) = i32::try_from(child.id()) {
        // It may have ended by itself.
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

struct Heard {
    said: Arc<Mutex<Vec<u8>>>,
    ends: thread::JoinHandle<()>,
}

fn listen(pipe: Option<impl Read + Send + 'static>) -> Heard {
    let said: Arc<Mutex<Vec<u8>>> = Arc::default();
    let heard = Arc::clone(&said);
    let ends = thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.extend_from_slice(&buffer[..count]);
        }
    });
    Heard { said, ends }
}

/// Once its pipe is closed.
fn told_all(heard: &Heard) -> String {
    while !heard.ends.is_finished() {
        thread::sleep(Duration::from_millis(1));
    }
    let bytes = heard.said.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn lines_are_compared_by_shape() {
    for (line, printed, expected) in [
        ("NODE   CPU", "NODE CPU", true),
        ("NODE   CPU", "NODE CPU AGE", false),
        ("node-7  18m42s  2h ago", "node-12   1m2s 13h ago", true),
        ("node-7  2h ago", "node-7  2d ago", false),
        ("node-7  2h ago  now", "node-7  2h ago  3s ago", true),
        ("node-7  2h ago  now", "node-7  2h ago  3h ago", false),
        ("... vpaddd at x", "now node-3 vpaddd at x", true),
        ("... vpaddd at x", "now node-3 vpaddq at x", false),
        ("a ... c", "a b c", true),
        ("a ... c", "a b d", false),
        ("4,212 file(s)", "3 file(s)", true),
        ("a ...", "a b", true),
    ] {
        assert_eq!(is_like(line, printed), expected, "{line} | {printed}");
    }
}
