//! `cargo xtask`: thin orchestration of what it takes to run, test and measure archtrace.
//!
//! Each task is one file. Nothing here knows how archtrace works; that is the business of the
//! crates it builds and of the cases in `tests/`.

mod apt;
mod bench;
mod binaries;
mod browser;
mod chart;
mod checklist;
mod containerd;
mod cpio;
mod demo;
mod docs;
mod emulator;
mod failures;
mod fuzz;
mod image;
mod kernel;
mod output;
mod paths;
mod postgres;
mod progress;
mod promtool;
mod proto;
mod registry;
mod run;
mod setup;
mod test;
mod toolchain;
mod tree;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets up, runs, tests and measures archtrace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask run                            see what runs emulated on this machine, live
  cargo xtask test                           every test, on real kernels too
  cargo xtask vm --kernel 6.1 --arch arm64   the test cases on one kernel

Downloads are kept in $ARCHTRACE_CACHE (default: ~/.cache/archtrace).";

#[derive(Subcommand)]
enum Task {
    /// Installs what is missing
    Setup(setup::Args),
    /// Builds everything and shows live which processes of this machine run emulated
    Run(run::Args),
    /// Runs all checks and tests
    Test(test::Args),
    /// Boots real kernels and runs the test cases there
    Vm(vm::Args),
    /// Makes images of the programs for amd64 and arm64
    Image(image::Args),
    /// Checks the protocol: lint, and what would break those who speak it
    Proto(proto::Args),
    /// Checks the Helm chart, by Helm, against schemas and the programs
    Chart(chart::Args),
    /// Builds the book, and runs the commands of the documents
    Docs(docs::Args),
    /// Feeds the parsers of foreign data with what nobody thought of
    Fuzz(fuzz::Args),
    /// Measures what the agent costs, or the collector
    Bench(bench::Args),
    /// Measures how fast a root file system is looked at
    ScanBench(tree::Args),
}

fn main() -> ExitCode {
    let Cli { task } = Cli::parse();
    let result = match task {
        Task::Setup(args) => setup::main(&args),
        Task::Run(args) => run::main(&args),
        Task::Test(args) => test::main(&args),
        Task::Vm(args) => vm::main(&args),
        Task::Image(args) => image::main(&args),
        Task::Proto(args) => proto::main(&args),
        Task::Chart(args) => chart::main(&args),
        Task::Docs(args) => docs::main(&args),
        Task::Fuzz(args) => fuzz::main(&args),
        Task::Bench(args) => bench::main(&args),
        Task::ScanBench(args) => tree::main(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
