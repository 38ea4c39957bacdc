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
    let code = match args::Args::try_parse() {
        Err(error) => usage(&error),
        Ok(args) => match commands::run(args).await {
            Ok(code) => return code,
            Err(failure) => failure.report(),
        },
    };
    // Whoever decides by a gate's exit code must not take a bad option for something that was found.
    match code {
        2 if args::is_gate(std::env::args_os().skip(1)) => ExitCode::FAILURE,
        code => code.into(),
    }
}

/// Prints help, or what is wrong with the options.
fn usage(error: &clap::Error) -> u8 {
    // If nobody reads it, the code still says it.
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(1)
}
