//! `archtrace-collector`.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use archtrace_collector::args::{Args, Command};
use archtrace_collector::auth::dev_certs;
use archtrace_collector::policy;
use archtrace_collector::serve::{self, Failure};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// Connections of ten thousand agents come and go together, and each has buffers that are mostly empty: what
/// an allocator keeps of them, and how much of each it touches, is half of the process's memory. With
/// glibc's, 10,000 agents take a sixth more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match args.command {
        Some(Command::DevCerts {
            out,
            node,
            cluster,
            server,
        }) => {
            return make_certificates(&dev_certs::Wanted {
                out,
                nodes: node,
                cluster,
                servers: server,
            });
        }
        Some(Command::CheckPolicy { file }) => return check_policy(&file).await,
        None => {}
    }
    if let Err(what) = args.check() {
        Args::command()
            .error(ErrorKind::ValueValidation, what)
            .exit();
    }
    // Its troubles are logged here, once and with what to do.
    let directives = format!("kube_runtime::watcher=off,{}", args.log);
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|error| {
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
    open_many_files();
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

fn make_certificates(wanted: &dev_certs::Wanted) -> ExitCode {
    match dev_certs::make(wanted) {
        Ok(usage) => {
            print!("{usage}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("archtrace-collector: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Waivers that are over are no mistake, but nobody should be surprised by them.
async fn check_policy(file: &Path) -> ExitCode {
    let mandated = match policy::check(file).await {
        Ok(mandated) => mandated,
        Err(error) => {
            eprintln!("archtrace-collector: {error}");
            return Failure::Policy(error).exit_code().into();
        }
    };
    let agents = &mandated.policy.agents;
    let names: Vec<_> = agents.iter().map(|agent| agent.name.as_str()).collect();
    println!("{}: a policy for {}", file.display(), names.join(", "));
    let now = SystemTime::now();
    for agent in agents {
        for waiver in agent.waivers.iter().filter(|waiver| waiver.expires <= now) {
            eprintln!(
                "warning: the waiver of {} for {} has expired, and lets nothing pass",
                waiver.owner, agent.name
            );
        }
    }
    ExitCode::SUCCESS
}

/// Each connection is one. The limit that is in force is low for the sake of programs that use select(2).
fn open_many_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        warn!(%error, "cannot raise the limit of open files");
    }
}

fn end_on_signals(shutdown: &CancellationToken) -> std::io::Result<()> {
    let shutdown = shutdown.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            }
        };
        let name = next().await;
        info!("{name}: ending; a second signal ends it at once");
        shutdown.cancel();
        let name = next().await;
        warn!("{name} again: ending at once");
        std::process::exit(1);
    });
    Ok(())
}
