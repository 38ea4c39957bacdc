//! What people see while something takes its time.
//!
//! On a terminal a spinner with the elapsed time and the last line of output, elsewhere a line at
//! the start, one every half minute, and one with the duration at the end.

use std::fs::{self, File};
use std::io::{IsTerminal as _, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{failures, paths};

/// How often a spinner turns and a child is asked whether it ended.
const TICK: Duration = Duration::from_millis(100);

/// How often a log without a terminal is told that something is still going on.
const REMINDER: Duration = Duration::from_secs(30);

/// So much of a failed program's output is shown.
const TAIL_LINES: usize = 40;

/// The spinners of what goes on at the same time.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Does `work`, which is named `title` while it lasts.
///
/// # Errors
/// Those of `work`.
pub(crate) fn during<T>(title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let shown = Shown::start(title);
    shown.bar.enable_steady_tick(TICK);
    let result = work();
    shown.end(result.is_ok());
    result
}

/// Runs `command` to its end with its output in a log file.
///
/// # Errors
/// If it cannot be started or fails; then the end of its output was shown. Where it is cargo, the error names the tests
/// that failed.
pub(crate) fn command(title: &str, command: &mut Command) -> Result<()> {
    fs::create_dir_all(paths::logs())
        .with_context(|| format!("create {}", paths::logs().display()))?;
    let log = log_of(title);
    let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let program = command.get_program().to_string_lossy().into_owned();
    let shown = Shown::start(title);
    let mut child = command
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let status = follow(&mut child, &log, &shown)?;
    shown.end(status.success());
    if !status.success() {
        BARS.suspend(|| {
            for line in tail(&log) {
                eprintln!("    {line}");
            }
        });
        let output = fs::read(&log).unwrap_or_default();
        let failures = failures::told(&String::from_utf8_lossy(&output));
        let failures: String = failures
            .iter()
            .map(|line| format!("\n    {line}"))
            .collect();
        bail!(
            "{title}: {program} ended with {status}; all of its output is in {}{failures}",
            log.display()
        );
    }
    Ok(())
}

/// Waits for `child`, showing the last line that it wrote to `log`.
fn follow(child: &mut Child, log: &Path, shown: &Shown) -> Result<ExitStatus> {
    let mut reminded = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if shown.plain && reminded.elapsed() >= REMINDER {
            reminded = Instant::now();
            let line = tail(log).pop().unwrap_or_default();
            eprintln!(
                "    still at it after {} s: {}",
                shown.start.elapsed().as_secs(),
                line.trim()
            );
        }
        if !shown.plain {
            shown
                .bar
                .set_message(tail(log).pop().unwrap_or_default().trim().to_owned());
            shown.bar.tick();
        }
        thread::sleep(TICK);
    }
}

/// The last lines of a file of any size.
fn tail(log: &Path) -> Vec<String> {
    const WINDOW: u64 = 16 * 1024;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..]
        .iter()
        .map(|&line| line.to_owned())
        .collect()
}

/// Where [`command`] leaves the output of what was called `title`.
pub(crate) fn log_of(title: &str) -> PathBuf {
    paths::logs().join(format!("{}.log", slug(title)))
}

/// `title` as a file name.
fn slug(title: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c
        } else {
            '-'
        }
    };
    title.to_ascii_lowercase().chars().map(letter).collect()
}

/// A piece of work that people were told about.
struct Shown {
    title: String,
    bar: ProgressBar,
    start: Instant,
    plain: bool,
}

impl Shown {
    fn start(title: &str) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let bar = if plain {
            ProgressBar::hidden()
        } else {
            BARS.add(ProgressBar::new_spinner())
        };
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix} [{elapsed}] {wide_msg:.dim}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        if plain {
            eprintln!("... {title}");
        }
        Self {
            title: title.to_owned(),
            bar,
            start: Instant::now(),
            plain,
        }
    }

    fn end(self, success: bool) {
        self.bar.finish_and_clear();
        let mark = if success { "ok " } else { "FAIL" };
        let seconds = self.start.elapsed().as_secs_f64();
        BARS.suspend(|| eprintln!("{mark} {} ({seconds:.1} s)", self.title));
    }
}
