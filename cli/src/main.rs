//! `archtrace`: asks a collector which processes run emulated, and more.
//!
//! What must not happen here: no decision about facts (that is `archtrace_facts`), no look at
//! this machine except where a command says so.
#![forbid(unsafe_code)]

mod args;
mod client;
mod commands;
mod failure;
mod show;
mod since;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match commands::run(args::Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
