//! A shell that starts the server, and ends it when its own input ends: that is when whoever holds the
//! other end is gone, however it went. No signal handler and no destructor would do that.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Error;
use crate::programs::system;

/// `$1` is the directory to remove, `$2` the log, the rest the server. A line on its input keeps the
/// directory. Immediate shutdown (SIGQUIT): what is kept has survived worse.
const SCRIPT: &str = r#"
dir=$1 log=$2
shift 2
trap '' INT TERM HUP
"$@" </dev/null >>"$log" 2>&1 &
server=$!
echo "$server"
if read -r line; then keep=yes; else keep=no; fi
kill -QUIT "$server" 2>/dev/null
wait "$server"
if [ "$keep" = no ]; then rm -rf "$dir"; fi
"#;

/// One run of the server.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    input: Option<ChildStdin>,
    server: Pid,
}

impl Keeper {
    /// Starts the server; `shell` is a command for `sh` that runs as the right user.
    pub(crate) fn start(
        mut shell: Command,
        dir: &Path,
        log: &Path,
        server: &[&std::ffi::OsStr],
    ) -> Result<Self, Error> {
        let what = "start PostgreSQL";
        let mut shell = shell
            .args(["-c", SCRIPT, "keeper"])
            .arg(dir)
            .arg(log)
            .args(server)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|reason| system(what, reason))?;
        let input = shell.stdin.take();
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            let read = BufReader::new(output).read_line(&mut line);
            read.map_err(|reason| system(what, reason))?;
        }
        match line.trim().parse() {
            Ok(server) => Ok(Self {
                shell,
                input,
                server: Pid::from_raw(server),
            }),
            Err(_) => Err(Error::Failed {
                what: what.to_owned(),
                output: format!("the shell said '{line}'"),
            }),
        }
    }

    /// Ends the server by a signal and waits for it; its files stay.
    pub(crate) fn end(mut self, signal: Signal) -> Result<(), Error> {
        let what = "end PostgreSQL";
        // It may be gone already.
        let _ = kill(self.server, signal);
        if signal != Signal::SIGKILL {
            self.wait_for_server();
        }
        if let Some(mut input) = self.input.take() {
            let _ = input.write_all(b"keep\n");
        }
        self.shell.wait().map_err(|reason| system(what, reason))?;
        Ok(())
    }

    /// A server that was asked to end ends when its clients have gone, or at once: the shell's SIGQUIT
    /// would make a crash of it. Half a minute, for a machine that does other things too.
    fn wait_for_server(&self) {
        for _ in 0..300 {
            if self.server_has_ended() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// Whether the server has ended. The file with its pid does not tell: one that was killed leaves it.
    pub(crate) fn server_has_ended(&self) -> bool {
        let status = format!("/proc/{}/stat", self.server);
        let state = std::fs::read_to_string(status).unwrap_or_default();
        // pid (name) state …; what has ended and was not waited for is a zombie.
        state
            .rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with('Z'))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Its input ends, so it ends the server and removes its files.
        if self.input.take().is_some() {
            let _ = self.shell.wait();
        }
    }
}
