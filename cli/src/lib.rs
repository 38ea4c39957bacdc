//! `archtrace`: asks a collector which processes run emulated, and more.
//!
//! What must not happen here: no decision about facts (that is `archtrace_facts`), no look at
//! this machine except where a command says so.
#![forbid(unsafe_code)]

mod args;
mod client;
mod commands;
mod complete;
mod failure;
mod forward;
mod prices;
mod show;
mod since;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;

/// Its commands and options, for whoever tells people of them.
#[must_use]
pub fn command() -> clap::Command {
    args::Args::command()
}

/// The program, with the command line of this process.
pub async fn main() -> ExitCode {
    if let Some(error) = forward::become_other(std::env::args_os()) {
        eprintln!("archtrace: {error}");
        return ExitCode::FAILURE;
    }
    let as_plugin = is_plugin(std::env::args_os().next().as_ref());
    let code = match args::Args::read(as_plugin) {
        Err(error) => usage(&error),
        Ok(args) => match commands::run(args, as_plugin).await {
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

/// Whether kubectl started us: it runs what is called `kubectl-archtrace` as `kubectl archtrace`.
fn is_plugin(program: Option<&OsString>) -> bool {
    let name = program.map(Path::new).and_then(Path::file_name);
    name.is_some_and(|name| name == "kubectl-archtrace")
}

/// Prints help, or what is wrong with the options.
fn usage(error: &clap::Error) -> u8 {
    // If nobody reads it, the code still says it.
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(1)
}
