//! `archtrace scan`: an audit without a collector.

mod bar;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use archtrace_facts::arch::Arch;
use archtrace_facts::text::escape;
use archtrace_images::{Options, Platform, Progress, Report, ScanError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::print;
use crate::args::{Output, ScanArgs};
use crate::failure::Failure;
use crate::show;
use crate::show::scan::Target;

/// What directories and files are checked for: where fleets move to.
const DEFAULT_ARCH: Arch = Arch::Arm64;
/// Beyond, threads wait for the same disk and the same memory.
const MAX_THREADS: usize = 8;
/// How long what was interrupted may take to end: it looks after each file and each block.
const ENDING: Duration = Duration::from_secs(2);

/// Scans each path, prints what is found (as SARIF if there is no `output`), and says by the exit code
/// whether that is anything.
pub(super) async fn scan(args: &ScanArgs, output: Option<Output>) -> Result<ExitCode, Failure> {
    let ScanArgs {
        paths,
        arch,
        platforms,
        strict,
        threads,
    } = args;
    let options = Options {
        arch: arch.unwrap_or(DEFAULT_ARCH),
        platforms: arch.map_or(platforms.clone(), |arch| vec![Platform::linux(arch)]),
        threads: threads.map_or_else(default_threads, usize::from),
    };
    let mut targets = Vec::new();
    for path in paths {
        let outcome = one(path, &options).await?;
        if let Err(error) = &outcome {
            eprintln!("archtrace: {error}");
        }
        targets.push(Target::new(name(path), outcome));
    }
    match print(&show::scan(&targets, output)) {
        // Whoever closes a pipe has seen enough; the exit code still says what was found.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    let incomplete = targets.iter().any(Target::is_incomplete);
    if *strict && incomplete {
        eprintln!("archtrace: not all could be looked at, and --strict asks for it");
    }
    Ok(
        if targets.iter().any(Target::has_failed) || *strict && incomplete {
            ExitCode::FAILURE
        } else if targets.iter().any(|target| !target.findings.is_empty()) {
            ExitCode::from(2)
        } else {
            ExitCode::SUCCESS
        },
    )
}

/// Scans one path in a thread of its own, which is left alone if it does not end: whoever reads a pipe
/// waits for its writer.
async fn one(path: &Path, options: &Options) -> Result<Result<Report, ScanError>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let progress = Arc::new(Progress::default());
    let (told, mut outcome) = oneshot::channel();
    let job = {
        let (path, options): (PathBuf, _) = (path.to_owned(), options.clone());
        let progress = Arc::clone(&progress);
        move || {
            // Nobody listens any more after an interruption.
            let _ = told.send(archtrace_images::scan(&path, &options, &progress));
        }
    };
    thread::Builder::new().name("scan".to_owned()).spawn(job)?;
    let bar = bar::Bar::new(path);
    let mut ticks = tokio::time::interval(bar::EVERY);
    let signal = loop {
        tokio::select! {
            outcome = &mut outcome => {
                let gone = || ScanError::Cancelled;
                return Ok(outcome.unwrap_or_else(|_| Err(gone())));
            }
            _ = interrupt.recv() => break SignalKind::interrupt(),
            _ = terminate.recv() => break SignalKind::terminate(),
            _ = ticks.tick() => bar.show(&progress),
        }
    };
    progress.cancel();
    // Whether it ended or not: this process does now.
    let _ = timeout(ENDING, outcome).await;
    drop(bar);
    let number = u8::try_from(signal.as_raw_value()).unwrap_or_default();
    Err(Failure::Interrupted(number))
}

fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, |cpus| cpus.get().min(MAX_THREADS))
}

fn name(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}
