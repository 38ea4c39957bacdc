//! `archtrace top` on a real terminal: what it shows, and what it leaves.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::Collector;

/// A terminal of 80 columns and 24 lines in which it runs; script(1) is part of util-linux.
struct Terminal {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    dir: tempfile::TempDir,
}

/// Settings before and after, so that they can be compared.
const SHELL: &str = "stty cols 80 rows 24; echo before $(stty -g)
    sh -c 'echo $$ > \"$PID_FILE\"; exec \"$ARCHTRACE\" top --interval 0.2'
    code=$?; echo after $(stty -g); echo code $code";

impl Terminal {
    fn start(collector: &Collector) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut child = Command::new("script")
            .args(["-qec", SHELL, "/dev/null"])
            .env("ARCHTRACE", env!("CARGO_BIN_EXE_archtrace"))
            .env("ARCHTRACE_SERVER", collector.url())
            .env("PID_FILE", dir.path().join("pid"))
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        let said: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (heard, mut output) = (Arc::clone(&said), child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                let mut heard = heard.lock().expect("no panic");
                heard.extend_from_slice(&buffer[..count]);
            }
        });
        Self { child, said, dir }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().expect("no panic")).into_owned()
    }

    fn wait_for(&self, words: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.said().contains(words) {
            if Instant::now() > deadline {
                let said: Vec<_> = self.said().chars().collect();
                let last: String = said[said.len().saturating_sub(2000)..].iter().collect();
                panic!("never {words:?}: {last:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn press(&mut self, keys: &str) {
        let input = self.child.stdin.as_mut().expect("piped");
        input.write_all(keys.as_bytes()).expect("writes");
    }

    fn terminate(&self) {
        let pid = std::fs::read_to_string(self.dir.path().join("pid")).expect("written");
        let pid = Pid::from_raw(pid.trim().parse().expect("a number"));
        kill(pid, Signal::SIGTERM).expect("it runs");
    }

    /// The terminal is as it was, and this is the exit code.
    fn check(&self, code: i32) {
        self.wait_for("code ");
        let said = self.said();
        // Modes of xterm: 1049 is its other screen, 25 the cursor.
        for (on, off) in [("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?25l", "\x1b[?25h")] {
            let (on, off) = (said.rfind(on), said.rfind(off));
            assert!(on.is_some() && on < off, "{said:?}");
        }
        let line = |name: &str| {
            let lines = said.lines().map(str::trim);
            let mut found = lines.filter_map(|line| line.rsplit_once(name));
            found.next_back().map(|(_, value)| value.to_owned())
        };
        assert_eq!(line("before "), line("after "), "{said:?}");
        assert_eq!(line("code "), Some(code.to_string()), "{said:?}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // After its end there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_shows_what_runs_and_leaves_the_terminal_as_it_was() {
    let collector = Collector::filled();
    for key in ["q", "\x03"] {
        let mut terminal = Terminal::start(&collector);
        terminal.wait_for("/bin/running");
        terminal.wait_for("quit");
        terminal.press("\r");
        terminal.wait_for("/usr/bin/qemu-aarch64");
        terminal.press(key);
        terminal.check(0);
        // What runs natively is not shown.
        assert!(!terminal.said().contains("/bin/true"));
    }
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was_too() {
    let collector = Collector::filled();
    let terminal = Terminal::start(&collector);
    terminal.wait_for("/bin/running");
    terminal.terminate();
    terminal.check(0);
}

#[test]
fn a_collector_that_is_away_is_waited_for() {
    let mut collector = Collector::filled();
    let mut terminal = Terminal::start(&collector);
    terminal.wait_for("/bin/running");
    collector.stop();
    terminal.wait_for("trying again: ");
    collector.start();
    terminal.press("q");
    terminal.check(0);
}

#[test]
fn without_a_terminal_it_says_what_else_there_is() {
    let collector = Collector::filled();
    for (args, words) in [
        (&["top"][..], "emulated --watch"),
        (&["top", "-o", "json"], "facts --watch"),
        (&["top", "--interval", "0"], "from 0.1 to 3600"),
    ] {
        let assert = collector.archtrace(args).assert().code(2).stdout("");
        let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(told.contains(words), "{told}");
    }
}
