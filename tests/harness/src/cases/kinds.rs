//! How a binary ran, or why it did not.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use archtrace_guests::Program;

use super::Outcome;
use crate::process::Running;
use crate::wait::eventually;
use crate::world::{NODE, World, run};

/// Generous, where the time is not what is asserted.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// A foreign binary that keeps running is visible soon after its exec, with all that is known.
pub(super) fn emulated(world: &mut World) -> Result<Outcome> {
    let program = world.program("emulated", world.foreign(), Program::Pause)?;
    let binary = program.display().to_string();
    let running = Running::start("guest", &mut Command::new(&program), None)?;
    let (fact, after) = world.counted(&binary, "emulated", 1, SOON)?;
    ensure!(fact.node == NODE, "the node is {}", fact.node);
    ensure!(
        fact.node_arch == world.native().as_str(),
        "the node's architecture is {}",
        fact.node_arch
    );
    ensure!(
        fact.arch == world.foreign().as_str(),
        "the guest is {}",
        fact.arch
    );
    let emulator = world.emulator().display().to_string();
    ensure!(
        fact.emulator.as_deref() == Some(&*emulator),
        "the emulator is {:?}",
        fact.emulator
    );
    ensure!(
        fact.via.as_deref() == Some("binfmt_misc"),
        "it came to its emulator by {:?}",
        fact.via
    );
    ensure!(
        fact.processes == 1,
        "{} processes are alive",
        fact.processes
    );
    let listed = world.client().ask(&["emulated", "--running"])?;
    ensure!(
        listed.iter().any(|fact| fact["binary"] == *binary),
        "`archtrace emulated --running` does not list it"
    );
    for field in [
        "namespace",
        "pod",
        "container",
        "cgroup",
        "first_seen",
        "last_seen",
    ] {
        ensure!(
            listed.iter().all(|fact| fact.get(field).is_some()),
            "the field {field} is missing"
        );
    }
    // Facts and events go their own ways to the collector.
    eventually(SOON, || {
        let events = world.client().events()?;
        let mut of_it = events.iter().filter(|event| event.binary == binary);
        ensure!(
            of_it.any(|event| event.kind == "emulated_exec"),
            "no event of it"
        );
        Ok(())
    })?;

    drop(running);
    eventually(SOON, || {
        let (fact, _) = world.counted(&binary, "emulated", 1, Duration::ZERO)?;
        ensure!(
            fact.processes == 0,
            "{} processes are said to be alive",
            fact.processes
        );
        Ok(())
    })?;
    let listed = world.client().ask(&["emulated"])?;
    ensure!(
        listed.iter().any(|fact| fact["binary"] == *binary),
        "`archtrace emulated` forgot it at its end"
    );
    Ok(Outcome::Pass(format!(
        "visible after {} ms",
        after.as_millis()
    )))
}

/// A binary of this machine is native.
pub(super) fn native(world: &mut World) -> Result<Outcome> {
    let program = world.program("native", world.native(), Program::Exit(0))?;
    run(&program, 1)?;
    let (fact, after) = world.counted(
        &program.display().to_string(),
        "native",
        1,
        Duration::from_secs(60),
    )?;
    ensure!(
        fact.arch == world.native().as_str(),
        "its architecture is {}",
        fact.arch
    );
    ensure!(
        fact.emulator.is_none(),
        "its emulator is {:?}",
        fact.emulator
    );
    Ok(Outcome::Pass(format!(
        "visible after {} ms",
        after.as_millis()
    )))
}

/// Script, foreign interpreter, emulator: the middle one is the guest.
pub(super) fn script(world: &mut World) -> Result<Outcome> {
    let interpreter = world.program("interpreter", world.foreign(), Program::Pause)?;
    let script = world.file(
        "script",
        format!("#!{}\n", interpreter.display()).as_bytes(),
    )?;
    let running = Running::start("script", &mut Command::new(&script), None)?;
    let (fact, _) = world.counted(&interpreter.display().to_string(), "emulated", 1, SOON)?;
    ensure!(
        fact.arch == world.foreign().as_str(),
        "its architecture is {}",
        fact.arch
    );
    drop(running);
    Ok(Outcome::Pass(String::new()))
}

/// However a binary is named to `execve`, its absolute path is told.
pub(super) fn relative(world: &mut World) -> Result<Outcome> {
    let program = world.program("relative", world.foreign(), Program::Pause)?;
    let mut command = Command::new("./relative");
    command.current_dir(world.dir()).arg0("something else");
    let running = Running::start("guest", &mut command, None)?;
    world.counted(&program.display().to_string(), "emulated", 1, SOON)?;
    drop(running);
    Ok(Outcome::Pass(String::new()))
}
