//! Programs that print a line for each exec of the machine.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, PipeReader, pipe};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use archtrace_harness::process::Running;
use archtrace_harness::world::run;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::interrupt::pause;
use super::tool::{Root, Tool};
use crate::kernel_time::{Stats, used};

/// bpftrace compiles with LLVM before it attaches.
const START: Duration = Duration::from_secs(60);
/// So long one may take to print the last lines.
const END: Duration = Duration::from_secs(10);

pub(super) struct Snoop {
    name: &'static str,
    root: Root,
    command: &'static [&'static str],
    /// What is executed until it has seen an exec.
    bait: PathBuf,
    running: Option<Running>,
    reader: Option<JoinHandle<()>>,
    told: Arc<AtomicU64>,
}

impl Snoop {
    pub(super) fn new(
        name: &'static str,
        root: &Root,
        command: &'static [&'static str],
        bait: &Path,
    ) -> Self {
        Self {
            name,
            root: root.clone(),
            command,
            bait: bait.to_owned(),
            running: None,
            reader: None,
            told: Arc::default(),
        }
    }

    /// It is attached once the kernel has run its programs.
    fn wait_attached(&mut self) -> Result<()> {
        let _stats = Stats::switch_on()?;
        let start = Instant::now();
        loop {
            let running = self.running.as_mut().context("it does not run")?;
            if let Some(status) = running.ended()? {
                let said = fs::read(self.root.dir.join(self.name)).unwrap_or_default();
                bail!(
                    "ended with {status}: {}",
                    String::from_utf8_lossy(&said).trim()
                );
            }
            if used(running.pid())?.values().any(|used| used.runs > 0) {
                return Ok(());
            }
            ensure!(start.elapsed() < START, "not attached after {START:?}");
            run(&self.bait, 1)?;
            pause(Duration::from_millis(20))?;
        }
    }
}

impl Tool for Snoop {
    fn name(&self) -> &'static str {
        self.name
    }

    fn start(&mut self, target: &Path) -> Result<()> {
        let [program, arguments @ ..] = self.command else {
            bail!("no program")
        };
        let (reader, writer) = pipe()?;
        let mut command = self.root.command(program, arguments)?;
        command.stdout(writer);
        command.stderr(File::create(self.root.dir.join(self.name))?);
        self.running = Some(Running::start(self.name, &mut command, None)?);
        // With it our end for writing is closed, and the reader sees where the output ends.
        drop(command);
        self.told = Arc::default();
        let (told, path) = (Arc::clone(&self.told), target.to_owned());
        self.reader = Some(spawn(move || count(reader, &path, &told)));
        let result = self.wait_attached();
        result.with_context(|| format!("start {}", self.name))
    }

    fn stop(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        // The one signal at which all of them print what they still hold.
        if running.ended()?.is_none() {
            running.signal(Signal::SIGINT)?;
        }
        let start = Instant::now();
        while running.ended()?.is_none() && start.elapsed() < END {
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(running);
        if let Some(reader) = self.reader.take() {
            reader.join().ok().context("the reader panicked")?;
        }
        Ok(())
    }

    fn pid(&mut self) -> Result<Pid> {
        Ok(self.running.as_ref().context("it does not run")?.pid())
    }

    fn told(&mut self) -> Result<u64> {
        Ok(self.told.load(Ordering::Relaxed))
    }
}

/// Lines are of whatever runs on this machine, so none is kept.
fn count(output: PipeReader, target: &Path, told: &AtomicU64) {
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        if tells_of(&line, target) {
            told.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether a line has `target` for the program: the first word that is an absolute path. What stands
/// before it differs, and may be torn off where something was lost.
fn tells_of(line: &[u8], target: &Path) -> bool {
    line.split(u8::is_ascii_whitespace)
        .find(|word| word.starts_with(b"/"))
        == Some(target.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::tells_of;

    fn told(output: &str, target: &str) -> usize {
        let lines = output.lines();
        lines
            .filter(|line| tells_of(line.as_bytes(), Path::new(target)))
            .count()
    }

    #[test]
    fn output_of_bpftrace() {
        let output = include_str!("captured/execsnoop.bt.txt");
        assert_eq!(told(output, "/tmp/bench/native"), 4);
        assert_eq!(told(output, "/tmp/bench/shell"), 1);
    }

    #[test]
    fn output_of_libbpf_tools() {
        let output = include_str!("captured/execsnoop.txt");
        assert_eq!(told(output, "/tmp/bench/native"), 3);
        assert_eq!(told(output, "/tmp/bench/shell"), 1);
    }
}
