//! More distinct binaries than anybody keeps apart.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use archtrace_guests::{Program, header_only};

use super::Outcome;
use super::failures::RISCV64;
use crate::binfmt::Handler;
use crate::wait::eventually;
use crate::world::{Place, World};

/// Each is a fact of its own, or counted among those that were too many.
pub(super) fn distinct(world: &mut World) -> Result<Outcome> {
    // The kernel keeps 4,096 foreign binaries apart; an emulated CPU would need a minute for those.
    let binaries: u64 = match world.place() {
        Place::Host => 6_000,
        Place::Vm => 300,
    };
    let emulator = world.program("emulator-flood", world.native(), Program::Exit(0))?;
    let _handler = Handler::emulate("archtrace-test-flood", RISCV64, &emulator, "F")?;
    let before = lost(world)?;
    let start = Instant::now();
    for number in 0..binaries {
        // Files that exist at the same time have inodes of their own.
        let file = world.file(format!("flood-{number}"), &header_only(RISCV64))?;
        let status = Command::new(&file).stdin(Stdio::null()).status()?;
        ensure!(status.success(), "{} ended with {status}", file.display());
    }
    let seconds = start.elapsed().as_secs_f64();
    let prefix = world.dir().join("flood-").display().to_string();
    let ((told, lost), _) = eventually(Duration::from_secs(30), || {
        let facts = world.client().facts(&["--mode", "emulated"])?;
        let told: u64 = facts
            .iter()
            .filter(|fact| fact.binary.starts_with(&prefix))
            .map(|fact| fact.count)
            .sum();
        let lost = lost(world)? - before;
        ensure!(
            told <= binaries && told + lost >= binaries,
            "{told} of {binaries} have a fact, {lost} are lost"
        );
        Ok((told, lost))
    })?;
    Ok(Outcome::Pass(format!(
        "{told} facts and {lost} lost, of {binaries} in {seconds:.1} s"
    )))
}

/// Losses of other things than execs: nobody looked, or a file was not looked at.
const NO_EXECS: [&str; 3] = ["agent_down", "attribution", "inspection"];

/// How many execs were told to be lost so far.
pub(super) fn lost(world: &World) -> Result<u64> {
    let events = world.client().events()?;
    let losses = events.iter().filter(|event| {
        let stage = event.cause.as_deref().unwrap_or_default();
        event.kind == "loss" && !NO_EXECS.contains(&stage)
    });
    Ok(losses.filter_map(|event| event.count).sum())
}
