//! `archtrace`: asks a collector which processes run emulated, and more.
//!
//! What must not happen here: no decision about facts (that is `archtrace_facts`), no look at
//! this machine except where a command says so.
#![forbid(unsafe_code)]

mod args;
mod client;
mod commands;
mod failure;
mod prices;
mod show;
mod since;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    match commands::run(args).await {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Prints help, or what is wrong with the options. For a gate in CI, a bad option of `scan` must not
/// look like findings.
fn usage(error: &clap::Error) -> ExitCode {
    // If nobody reads it, the code still says it.
    let _ = error.print();
    match error.exit_code() {
        2 if args::is_scan(std::env::args_os().skip(1)) => ExitCode::FAILURE,
        code => u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from),
    }
}
