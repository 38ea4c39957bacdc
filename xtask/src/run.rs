//! `cargo xtask run`: builds everything and shows live what runs emulated on this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use archtrace_harness::client::Client;
use archtrace_harness::process::Running;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::demo::Demo;
use crate::{binaries, paths, progress, setup};

/// The port that `archtrace` asks unless told otherwise.
const DEFAULT_PORT: u16 = 50061;

/// So long is waited for something emulated before the demonstration starts.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often children and signals are looked at.
const STEP: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
#[command(
    after_help = "Ends with Ctrl-C, and leaves nothing behind.\n\nExample:\n  cargo xtask run"
)]
pub(crate) struct Args {
    /// Start no program of its own where nothing is emulated
    #[arg(long)]
    no_demo: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let Args { no_demo } = args;
    ensure!(
        nix::unistd::geteuid().is_root(),
        "only root may load programs into the kernel; run: sudo -E env \"PATH=$PATH\" cargo xtask run"
    );
    setup::prepare(setup::Purpose::Run)?;
    let programs = binaries::build()?;
    // Only now: until here a signal may simply end this process.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("watch for signals")?;
    }
    let result = show(&programs, !no_demo, &stop);
    if stop.load(Ordering::Relaxed) {
        eprintln!("\nended; nothing was left behind");
        return Ok(());
    }
    result
}

/// Returns at a signal, or with an error when one of the programs ends.
fn show(programs: &Path, demo: bool, stop: &AtomicBool) -> Result<()> {
    std::fs::create_dir_all(paths::logs())?;
    let dir = tempfile::Builder::new()
        .prefix("run-")
        .tempdir_in(paths::target())
        .context("make a directory for the store")?;
    let port = free_port()?;
    let server = format!("http://127.0.0.1:{port}");
    let client = Client {
        program: programs.join("archtrace"),
        server: server.clone(),
        socket: None,
        arguments: Vec::new(),
    };

    let mut collector = Command::new(programs.join("archtrace-collector"));
    collector.args(["--listen", &format!("127.0.0.1:{port}")]);
    collector.args([
        "--store",
        &format!("sqlite:{}", dir.path().join("archtrace.db").display()),
    ]);
    let collector = start("collector", &mut collector)?;
    let mut agent = Command::new(programs.join("archtrace-agent"));
    agent.args(["--collector", &server, "--node-name", &host_name()]);
    agent.arg("--state-dir").arg(dir.path().join("agent"));
    let agent = start("agent", &mut agent)?;
    // The last is dropped first by hand below, so that nobody complains of a peer that went away.
    let mut children = vec![collector, agent];
    let result = progress::during("agent and collector start", || {
        wait(stop, &mut children, Duration::from_secs(20), || {
            client.ask(&["nodes"]).is_ok_and(|nodes| !nodes.is_empty())
        })
    });
    let result = result.and_then(|ready| {
        ensure!(
            ready || stop.load(Ordering::Relaxed),
            "the agent does not report; see {}",
            paths::logs().join("agent.log").display()
        );
        live(&client, dir.path(), demo, stop, &mut children)
    });
    while let Some(child) = children.pop() {
        drop(child);
    }
    result
}

fn live(
    client: &Client,
    dir: &Path,
    demo: bool,
    stop: &AtomicBool,
    children: &mut Vec<Running>,
) -> Result<()> {
    let emulated = || {
        client
            .ask(&["emulated"])
            .is_ok_and(|facts| !facts.is_empty())
    };
    let mut demo =
        if demo && !wait(stop, children, PATIENCE, emulated)? && !stop.load(Ordering::Relaxed) {
            eprintln!("nothing runs emulated on this machine");
            Some(Demo::start(dir)?)
        } else {
            None
        };
    let program = client
        .program
        .strip_prefix(paths::root())
        .unwrap_or(&client.program)
        .display();
    let server = if client.server.ends_with(&format!(":{DEFAULT_PORT}")) {
        String::new()
    } else {
        format!(" --server {}", client.server)
    };
    eprintln!("in another terminal, try: {program} emulated{server}   (or: facts, events, nodes)");
    eprintln!("Ctrl-C ends everything\n");
    let mut table = Command::new(&client.program);
    table.args(["emulated", "--watch", "--server", &client.server]);
    children.push(Running::start("live table", &mut table, None)?);
    while !stop.load(Ordering::Relaxed) {
        check(children)?;
        if let Some(demo) = &mut demo {
            demo.turn()?;
        }
        thread::sleep(STEP);
    }
    Ok(())
}

fn start(name: &str, command: &mut Command) -> Result<Running> {
    let log = paths::logs().join(format!("{name}.log"));
    // The output of an earlier run would be taken for this one's.
    if log.exists() {
        std::fs::remove_file(&log).with_context(|| format!("remove {}", log.display()))?;
    }
    Running::start(name, command, Some(&log))
}

/// Waits until `done`, and says whether it came to that before `limit` or a signal.
fn wait(
    stop: &AtomicBool,
    children: &mut [Running],
    limit: Duration,
    done: impl Fn() -> bool,
) -> Result<bool> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
        check(children)?;
        if done() {
            return Ok(true);
        }
        thread::sleep(STEP);
    }
    Ok(false)
}

/// Fails if one of the children has ended.
fn check(children: &mut [Running]) -> Result<()> {
    for child in children {
        if let Some(status) = child.ended()? {
            let said = child
                .log()
                .map(std::fs::read_to_string)
                .transpose()?
                .unwrap_or_default();
            let last = said.lines().last().unwrap_or_default();
            bail!("the {} ended with {status}: {last}", child.name());
        }
    }
    Ok(())
}

/// The default port if nobody has it, else any.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, DEFAULT_PORT))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    Ok(listener
        .context("find a free port on the loopback")?
        .local_addr()?
        .port())
}

fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "this-machine".to_owned())
}
