//! `cargo xtask fuzz`: feeds the parsers of foreign data with what nobody thought of.
//!
//! The targets are in `fuzz/`, with small seeds; what is found to reach more code is kept in the
//! cache. An input that fails stays in `fuzz/artifacts/<target>`, and says how to run it again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{paths, progress, setup};

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask fuzz                      every parser, two minutes each\n  cargo xtask fuzz --seconds 600 wire   one of them for longer"
)]
pub(crate) struct Args {
    /// How long each target runs
    #[arg(long, default_value_t = 120)]
    seconds: u32,
    /// Which ones (default: all of fuzz/fuzz_targets)
    targets: Vec<String>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args { seconds, targets } = args;
    let known = known()?;
    if let Some(target) = targets.iter().find(|target| !known.contains(target)) {
        bail!(
            "there is no target '{target}'; the known ones are {}",
            known.join(", ")
        );
    }
    setup::install_cargo_fuzz()?;
    progress::command("build the fuzz targets", &mut fuzz("build")?)?;
    let chosen = if targets.is_empty() { &known } else { targets };
    let mut failed = Vec::new();
    for target in chosen {
        let title = format!("fuzz {target} for {seconds} s");
        match progress::command(&title, &mut run(target, *seconds)?) {
            Ok(()) => eprintln!("{target}: {}", executions(&title)),
            Err(error) => {
                eprintln!("{target}: {error:#}");
                failed.push(target.as_str());
            }
        }
    }
    if !failed.is_empty() {
        bail!("inputs that fail were found for {}", failed.join(", "));
    }
    Ok(())
}

/// The targets there are, by their files.
fn known() -> Result<Vec<String>> {
    let dir = paths::root().join("fuzz/fuzz_targets");
    let files = fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))?;
    let mut names = Vec::new();
    for file in files {
        let name = file?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

/// One run: new inputs go to the first directory, the seeds are only read.
fn run(target: &str, seconds: u32) -> Result<Command> {
    let grown = paths::cache()?.join("fuzz").join(target);
    fs::create_dir_all(&grown).with_context(|| format!("create {}", grown.display()))?;
    let mut command = fuzz("run")?;
    command.arg(target).arg(grown);
    command.arg(paths::root().join("fuzz/corpus").join(target));
    command.args(["--", "-print_final_stats=1", "-timeout=10", "-max_len=4096"]);
    command.arg(format!("-max_total_time={seconds}"));
    Ok(command)
}

/// cargo-fuzz. Its instrumentation is of the unstable options that a stable compiler takes with
/// RUSTC_BOOTSTRAP only; a nightly one does not mind.
fn fuzz(task: &str) -> Result<Command> {
    let program = paths::program("cargo-fuzz").context("cargo-fuzz is not installed")?;
    let mut command = Command::new(program);
    command
        .arg(task)
        .arg("--target-dir")
        .arg(paths::target().join("fuzz"));
    if !has_sanitizer()? {
        command.args(["--sanitizer", "none"]);
    }
    command
        .current_dir(paths::root().join("fuzz"))
        .env("RUSTC_BOOTSTRAP", "1");
    Ok(command)
}

/// Whether the compiler came with the runtime of AddressSanitizer: rustup's do, Debian's do not.
fn has_sanitizer() -> Result<bool> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir"])
        .output()
        .context("start rustc")?;
    let dir = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let files = fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))?;
    Ok(files
        .flatten()
        .any(|file| file.file_name().to_string_lossy().ends_with("_rt.asan.a")))
}

/// The lines of libFuzzer's final statistics that tell how much was tried.
fn executions(title: &str) -> String {
    let log = fs::read_to_string(progress::log_of(title)).unwrap_or_default();
    let stat = |name: &str| {
        let value = log
            .lines()
            .find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
        value
            .map_or("?", |value| value.trim_start_matches(':').trim())
            .to_owned()
    };
    format!(
        "{} inputs, {} a second, {} kept",
        stat("number_of_executed_units"),
        stat("average_exec_per_sec"),
        stat("new_units_added")
    )
}
