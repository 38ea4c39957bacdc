//! `archtrace-agent`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use archtrace_agent::config::{Cli, Command, Output};
use archtrace_agent::{AgentError, preflight};
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    match try_main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("archtrace-agent: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn try_main() -> Result<(), AgentError> {
    let cli = Cli::parse();
    let config = cli
        .config()
        .map_err(|error| AgentError::Usage(error.to_string()))?;
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| AgentError::Usage(format!("--log {}: {error}", config.log)))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    match cli.command {
        None => archtrace_agent::run(config),
        Some(Command::Preflight { output }) => {
            let report = preflight::run(config.best_tier, config.spool_dir())?;
            match output {
                Output::Text => print!("{}", preflight::text(&report)),
                Output::Json => println!("{}", preflight::json(&report)),
            }
            Ok(())
        }
    }
}
