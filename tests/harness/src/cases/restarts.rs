//! What is known survives those who know it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Emulator, Program};

use super::Outcome;
use super::kinds::SOON;
use crate::process::Running;
use crate::wait::eventually;
use crate::world::{World, run};

/// Reconnects start at 250 ms and double up to 30 s.
const RECONNECT: Duration = Duration::from_secs(60);

/// Execs that happen while the collector is down are told once it is back.
pub(super) fn collector(world: &mut World) -> Result<Outcome> {
    let program = world.program("collector-restarts", world.foreign(), Program::Exit(0))?;
    let binary = program.display().to_string();
    run(&program, 3)?;
    world.counted(&binary, "emulated", 3, SOON)?;
    world.kill_collector()?;
    run(&program, 5)?;
    world.start_collector()?;
    let (_, after) = world.counted(&binary, "emulated", 8, RECONNECT)?;
    run(&program, 1)?;
    world.counted(&binary, "emulated", 9, SOON)?;
    let status = world.client().ask(&["status"])?;
    let status = status.first().context("`archtrace status` said nothing")?;
    ensure!(
        status["unexplained_gap"] == 0,
        "events went missing without a word: {status}"
    );
    Ok(Outcome::Pass(format!(
        "exact {} ms after it was back",
        after.as_millis()
    )))
}

/// Facts of an agent that was killed are kept, and those of its successor added to them.
pub(super) fn agent(world: &mut World) -> Result<Outcome> {
    let program = world.program("agent-restarts", world.foreign(), Program::Exit(0))?;
    let binary = program.display().to_string();
    run(&program, 3)?;
    world.counted(&binary, "emulated", 3, SOON)?;
    let before = losses(world)?;
    world.kill_agent()?;
    // Nobody looks, so these cannot be counted; that is what the loss says.
    run(&program, 2)?;
    world.counted(&binary, "emulated", 3, Duration::ZERO)?;
    let older = Older::start(world)?;
    world.start_agent()?;
    let ((), after) = eventually(SOON, || {
        let more = losses(world)? - before;
        ensure!(more == 1, "{more} losses of stage agent_down were told");
        Ok(())
    })?;
    run(&program, 4)?;
    world.counted(&binary, "emulated", 7, SOON)?;
    older.seen(world)?;
    Ok(Outcome::Pass(format!(
        "loss told after {} ms",
        after.as_millis()
    )))
}

/// Emulated processes that an agent finds when it starts.
struct Older {
    rows: Vec<(Running, PathBuf, &'static str)>,
}

impl Older {
    fn start(world: &World) -> Result<Self> {
        let claimed = world.program("older", world.foreign(), Program::Pause)?;
        let loaded = world.program("older-direct", world.foreign(), Program::Pause)?;
        let emulator = Program::Load(Emulator::Qemu);
        let emulator = world.program("older-emulator", world.native(), emulator)?;
        let mut by_itself = Command::new(&claimed);
        let mut by_argument = Command::new(emulator);
        by_argument.arg(&loaded);
        let rows = vec![
            (
                Running::start("guest", &mut by_itself, None)?,
                claimed,
                "binfmt_misc",
            ),
            (
                Running::start("emulator", &mut by_argument, None)?,
                loaded,
                "direct",
            ),
        ];
        Ok(Self { rows })
    }

    /// They are alive and said to be emulated. Nobody saw their execs, so no count is expected.
    fn seen(self, world: &World) -> Result<()> {
        for (running, program, via) in self.rows {
            let binary = program.display().to_string();
            eventually(SOON, || {
                let facts = world.client().facts(&["--mode", "emulated"])?;
                let fact = facts.iter().find(|fact| fact.binary == binary);
                let fact = fact.with_context(|| format!("no fact of {binary}"))?;
                ensure!(
                    fact.processes == 1
                        && fact.via.as_deref() == Some(via)
                        && fact.arch == world.foreign().as_str(),
                    "it is told as {fact:?}"
                );
                Ok(())
            })?;
            drop(running);
        }
        Ok(())
    }
}

/// Without the agent there is no program in the kernel, and nothing pinned.
pub(super) fn nothing_left_attached(world: &mut World) -> Result<Outcome> {
    let running = programs()?;
    ensure!(running > 0, "this cannot tell whether programs are loaded");
    world.kill_agent()?;
    let left = programs()?;
    ensure!(
        left == 0,
        "{left} programs are held by somebody although the agent was killed"
    );
    if let Ok(pinned) = fs::read_dir("/sys/fs/bpf") {
        ensure!(pinned.count() == 0, "something is pinned in /sys/fs/bpf");
    }
    world.start_agent()?;
    Ok(Outcome::Pass(format!("{running} programs before")))
}

/// Losses of stage `agent_down`.
fn losses(world: &World) -> Result<usize> {
    let events = world.client().events()?;
    Ok(events
        .iter()
        .filter(|event| event.kind == "loss" && event.cause.as_deref() == Some("agent_down"))
        .count())
}

/// Descriptors of BPF programs and links, in any process.
fn programs() -> Result<usize> {
    let mut found = 0;
    for process in fs::read_dir("/proc")?.filter_map(Result::ok) {
        // Those that are no processes, or have ended, have no such directory.
        let Ok(descriptors) = fs::read_dir(process.path().join("fdinfo")) else {
            continue;
        };
        for descriptor in descriptors.filter_map(Result::ok) {
            let info = fs::read_to_string(descriptor.path()).unwrap_or_default();
            found += usize::from(
                info.lines()
                    .any(|line| line.starts_with("prog_id:") || line.starts_with("link_id:")),
            );
        }
    }
    Ok(found)
}
