//! `cargo xtask test`: every check and test, cheapest first.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::binaries::{self, cargo};
use crate::vm::{self, Arch};
use crate::{emulator, paths, progress, setup};

const EXAMPLES: &str = "\
Examples:
  cargo xtask test                     everything, on real kernels too
  cargo xtask test --no-vm             what runs on this machine
  cargo xtask test --no-vm --no-host   without root: source checks, unit and property tests";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Leave out the virtual machines
    #[arg(long)]
    no_vm: bool,
    /// Leave out the tests that load programs into this machine's kernel (they need root)
    #[arg(long)]
    no_host: bool,
}

/// One line of the summary.
struct Outcome {
    name: String,
    passed: bool,
    seconds: f64,
    note: String,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args { no_vm, no_host } = args;
    setup::prepare(setup::Purpose::Check)?;
    if !no_vm {
        setup::prepare(setup::Purpose::Vm)?;
    }
    let mut outcomes = Vec::new();
    checks(&mut outcomes);
    if !no_host {
        step(&mut outcomes, "tests on this machine", host);
    }
    if !no_vm {
        machines(&mut outcomes);
    }
    summary(&outcomes)
}

/// What needs neither root nor a kernel of its own.
fn checks(outcomes: &mut Vec<Outcome>) {
    let rows = [
        ("format", "cargo fmt --all --check"),
        (
            "licences, bans, sources",
            "cargo-deny check licenses bans sources",
        ),
        (
            "lints",
            "cargo clippy --workspace --all-targets --locked -- -D warnings",
        ),
        ("documentation", "cargo doc --workspace --no-deps --locked"),
        (
            "unit and property tests",
            "cargo test --workspace --exclude archtrace-e2e --locked",
        ),
    ];
    for (title, line) in rows {
        step(outcomes, title, || {
            progress::command(title, &mut command(line))
        });
    }
    // What is known of the dependencies changes without this source changing.
    let known = progress::during("ask for advisories", || {
        Ok(command("cargo-deny check advisories")
            .output()?
            .status
            .success())
    });
    if !matches!(known, Ok(true)) {
        eprintln!("warning: there are advisories, or no list of them: cargo deny check advisories");
    }
}

/// A program and its arguments, in this workspace.
fn command(line: &str) -> Command {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default();
    let mut command = Command::new(paths::program(name).unwrap_or_else(|| name.into()));
    command
        .args(words)
        .current_dir(paths::root())
        .env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// The cases on this machine.
fn host() -> Result<()> {
    let Some(arch) = Arch::host() else {
        bail!("there are no test programs for this machine's CPU")
    };
    // The programs of the virtual machines: one build less.
    let programs = binaries::build_static(arch)?;
    let mut command = cargo();
    command.args([
        "test",
        "--package",
        "archtrace-e2e",
        "--locked",
        "--",
        "--nocapture",
    ]);
    command
        .env("ARCHTRACE_PROGRAMS", programs)
        .env("ARCHTRACE_EMULATOR", emulator::static_qemu(arch)?);
    shown(&mut command)
}

fn machines(outcomes: &mut Vec<Outcome>) {
    let start = Instant::now();
    match vm::run(&vm::matrix(), None) {
        Ok(reports) => outcomes.extend(reports.iter().map(|report| Outcome {
            name: format!("kernel {}", report.machine.name()),
            passed: report.passed(),
            seconds: report.seconds,
            note: match &report.cases {
                Ok((passed, failed)) => format!("{passed} cases passed, {failed} failed"),
                Err(error) => format!("{error:#}"),
            },
        })),
        Err(error) => outcomes.push(Outcome {
            name: "kernels".to_owned(),
            passed: false,
            seconds: start.elapsed().as_secs_f64(),
            note: format!("{error:#}"),
        }),
    }
}

/// Runs `command` with its output where this process's goes.
fn shown(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    if !status.success() {
        bail!("ended with {status}; its output is above");
    }
    Ok(())
}

fn step(outcomes: &mut Vec<Outcome>, name: &str, work: impl FnOnce() -> Result<()>) {
    let start = Instant::now();
    let result = work();
    outcomes.push(Outcome {
        name: name.to_owned(),
        passed: result.is_ok(),
        seconds: start.elapsed().as_secs_f64(),
        note: result
            .err()
            .map(|error| format!("{error:#}"))
            .unwrap_or_default(),
    });
}

fn summary(outcomes: &[Outcome]) -> Result<()> {
    println!("\n{:<28} {:>6} {:>9}", "STEP", "RESULT", "SECONDS");
    for Outcome {
        name,
        passed,
        seconds,
        note,
    } in outcomes
    {
        let result = if *passed { "ok" } else { "FAIL" };
        println!("{name:<28} {result:>6} {seconds:>9.1}  {note}");
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    if failed > 0 {
        bail!("{failed} steps failed");
    }
    Ok(())
}
