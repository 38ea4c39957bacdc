//! `cargo xtask test`: every check and test, cheapest first.

use std::io::{BufRead as _, BufReader};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::binaries::{self, cargo};
use crate::checklist::{self, Column};
use crate::vm::{self, Arch, Cases};
use crate::{
    apt, browser, chart, containerd, docs, emulator, image, paths, postgres, progress, promtool,
    proto, registry, setup, tree,
};

const EXAMPLES: &str = "\
Examples:
  cargo xtask test                     everything, on real kernels too
  cargo xtask test --write             the same, and what it showed to docs/checklist.md
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
    /// Write what the cases showed to docs/checklist.md, rather than compare
    #[arg(long)]
    write: bool,
}

/// One line of the summary.
struct Outcome {
    name: String,
    passed: bool,
    seconds: f64,
    note: String,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args {
        no_vm,
        no_host,
        write,
    } = args;
    setup::prepare(setup::Purpose::Check)?;
    if !no_vm {
        setup::prepare(setup::Purpose::Vm)?;
    }
    let mut outcomes = Vec::new();
    checks(&mut outcomes);
    if apt::is_here() {
        step(&mut outcomes, "a root file system", tree::check);
    } else {
        eprintln!(
            "warning: the audit of a root file system of Debian's was not tried: no apt here"
        );
    }
    let mut columns = Vec::new();
    if !no_host {
        step(&mut outcomes, "tests on this machine", || {
            host(&mut columns)
        });
    }
    if !no_vm {
        machines(&mut outcomes, &mut columns);
        // Of the programs that the machines had.
        step(&mut outcomes, "images", image::check);
    }
    if outcomes.iter().all(|outcome| outcome.passed) {
        step(&mut outcomes, "docs/checklist.md", || {
            checklist::settle(&columns, *write)
        });
    }
    summary(&outcomes)
}

/// What needs neither root nor a kernel of its own.
fn checks(outcomes: &mut Vec<Outcome>) {
    let database = match postgres::programs() {
        Ok(programs) => Some((postgres::VARIABLE, programs)),
        Err(error) => {
            // In a pipeline they fail.
            eprintln!("warning: tests with PostgreSQL are left out: {error:#}");
            None
        }
    };
    let driver = match browser::driver() {
        Ok(driver) => Some((browser::VARIABLE, driver)),
        Err(error) => {
            eprintln!("warning: tests with a browser are left out: {error:#}");
            None
        }
    };
    let docker_registry = match registry::program() {
        Ok(program) => Some((registry::VARIABLE, program)),
        Err(error) => {
            eprintln!("warning: tests with a registry are left out: {error:#}");
            None
        }
    };
    let rows = [
        ("format", "cargo fmt --all --check"),
        (
            "format of the fuzz targets",
            "cargo fmt --manifest-path fuzz/Cargo.toml --check",
        ),
        (
            "licences, bans, sources",
            "cargo-deny check licenses bans sources",
        ),
        (
            "lints",
            "cargo clippy --workspace --all-targets --locked -- -D warnings",
        ),
        ("documentation", "cargo doc --workspace --no-deps --locked"),
    ];
    for (title, line) in rows {
        step(outcomes, title, || {
            progress::command(title, &mut command(line))
        });
    }
    let needed = database.iter().chain(&driver).chain(&docker_registry);
    tests(outcomes, &needed.collect::<Vec<_>>());
    step(outcomes, "the book", docs::book);
    step(outcomes, "the protocol", proto::check);
    step(outcomes, "the chart", chart::check);
    step(outcomes, "alert rules", promtool::check);
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

/// Tests of all crates. Those that kill collectors wait most of the time, one after the other: the rest runs meanwhile.
fn tests(outcomes: &mut Vec<Outcome>, needed: &[&(&str, PathBuf)]) {
    let of_all =
        "cargo test --workspace --exclude archtrace-e2e --exclude archtrace-chart --locked";
    let run = |title: &str, more: &str| {
        let mut command = command(&format!("{of_all} {more}"));
        command.envs(needed.iter().map(|(name, path)| (name, path)));
        outcome(title, || progress::command(title, &mut command))
    };
    let built = run("tests compile", "--no-run");
    let is_built = built.passed;
    outcomes.push(built);
    if !is_built {
        return;
    }
    outcomes.extend(thread::scope(|scope| {
        let chaos = scope.spawn(|| run("chaos", "--test chaos --no-fail-fast"));
        let others = run(
            "unit and property tests",
            "--no-fail-fast -- --skip chaos::",
        );
        [
            others,
            chaos.join().unwrap_or_else(|panic| resume_unwind(panic)),
        ]
    }));
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
fn host(columns: &mut Vec<(String, Column)>) -> Result<()> {
    let Some(arch) = Arch::host() else {
        bail!("there are no test programs for this machine's CPU")
    };
    // The programs of the virtual machines: one build less.
    let programs = binaries::build_static(arch, &[])?;
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
    if apt::is_here() {
        let path = std::env::join_paths(containerd::programs(arch)?)?;
        command.env("ARCHTRACE_CONTAINERD", path);
    } else {
        eprintln!(
            "warning: no cases of pods on this machine, since it has no apt to get containerd by"
        );
    }
    let cases = heard(&mut command)?;
    // The table has a column for hosts whose kernel allows no better.
    if cases.tier == 3 {
        columns.push(("host".to_owned(), cases.column));
    }
    Ok(())
}

fn machines(outcomes: &mut Vec<Outcome>, columns: &mut Vec<(String, Column)>) {
    let start = Instant::now();
    match vm::run(&vm::matrix(), None) {
        Ok(reports) => {
            columns.extend(vm::columns(&reports));
            outcomes.extend(reports.iter().map(|report| Outcome {
                name: format!("kernel {}", report.machine.name()),
                passed: report.passed(),
                seconds: report.seconds,
                note: match &report.cases {
                    Ok(cases) => {
                        let counts =
                            format!("{} cases passed, {} failed", cases.passed, cases.failed);
                        with_failures(&counts, cases)
                    }
                    Err(error) => format!("{error:#}"),
                },
            }));
        }
        Err(error) => outcomes.push(Outcome {
            name: "kernels".to_owned(),
            passed: false,
            seconds: start.elapsed().as_secs_f64(),
            note: format!("{error:#}"),
        }),
    }
}

/// Runs `command`, shows its output, and returns what its cases showed.
fn heard(command: &mut Command) -> Result<Cases> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("no pipe from the cases")?;
    let mut cases = Cases::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        cases.hear(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        let what = format!("ended with {status}; its output is above");
        bail!(with_failures(&what, &cases));
    }
    Ok(cases)
}

/// With what the cases that failed said, a line each.
fn with_failures(what: &str, cases: &Cases) -> String {
    let lines = cases.failures.iter().map(|case| format!("\n    {case}"));
    std::iter::once(what.to_owned()).chain(lines).collect()
}

fn step(outcomes: &mut Vec<Outcome>, name: &str, work: impl FnOnce() -> Result<()>) {
    outcomes.push(outcome(name, work));
}

fn outcome(name: &str, work: impl FnOnce() -> Result<()>) -> Outcome {
    let start = Instant::now();
    let result = work();
    Outcome {
        name: name.to_owned(),
        passed: result.is_ok(),
        seconds: start.elapsed().as_secs_f64(),
        note: result
            .err()
            .map(|error| format!("{error:#}"))
            .unwrap_or_default(),
    }
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
