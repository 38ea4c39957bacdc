//! `archtrace-collector`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use archtrace_collector::args::Args;
use archtrace_collector::serve;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(what) = args.check() {
        Args::command()
            .error(ErrorKind::ValueValidation, what)
            .exit();
    }
    let filter = EnvFilter::try_new(&args.log).unwrap_or_else(|error| {
        let what = format!("--log '{}': {error}", args.log);
        Args::command()
            .error(ErrorKind::ValueValidation, what)
            .exit()
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let shutdown = CancellationToken::new();
    if let Err(error) = end_on_signals(&shutdown) {
        eprintln!("archtrace-collector: cannot listen to signals: {error}");
        return ExitCode::FAILURE;
    }
    match serve::run(args, shutdown).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("archtrace-collector: {failure}");
            failure.exit_code().into()
        }
    }
}

fn end_on_signals(shutdown: &CancellationToken) -> std::io::Result<()> {
    let shutdown = shutdown.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => info!("SIGINT: ending"),
            _ = terminate.recv() => info!("SIGTERM: ending"),
        }
        shutdown.cancel();
    });
    Ok(())
}
