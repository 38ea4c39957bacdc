//! Where a process is, and who it is among others.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use archtrace_guests::{Instruction, Program, header_only};

use super::Outcome;
use super::failures::{RISCV64, S390X};
use super::kinds::SOON;
use super::sigill::death;
use crate::binfmt::Handler;
use crate::cgroup::Cgroup;
use crate::launch::Launch;
use crate::process::Running;
use crate::wait::eventually;
use crate::world::World;

/// Processes that are gone at once, in cgroups that are gone a moment later, have a place.
pub(super) fn vanished(world: &mut World) -> Result<Outcome> {
    let forks = Program::Forks {
        children: 2,
        iterations: Some(1),
    };
    let emulator = world.program("emulator-forks", world.native(), forks)?;
    let _handler = Handler::emulate("archtrace-test-forks", RISCV64, &emulator, "F")?;
    let undefined = Program::Execute(Instruction::Undefined);
    let rows = [
        (
            world.file("vanish-emulated", &header_only(RISCV64))?,
            Some("emulated"),
        ),
        (
            world.file("vanish-failed", &header_only(S390X))?,
            Some("failed"),
        ),
        (
            world.program("vanish-died", world.native(), undefined)?,
            None,
        ),
    ];
    let mut cgroups = Vec::new();
    for (number, (program, mode)) in (310..).zip(&rows) {
        let cgroup = Cgroup::container(number)?;
        let launch = Launch {
            // In tier 3 only a living process tells what it failed to execute.
            linger: if world.sees_headers()? { 0 } else { 1000 },
            ..inside(&cgroup, program)
        };
        launch.command()?.status()?;
        cgroups.push((cgroup.name().to_owned(), program, *mode));
    }
    for (cgroup, program, mode) in cgroups {
        let told = match mode {
            Some(mode) => {
                let binary = program.display().to_string();
                world.counted(&binary, mode, 1, SOON)?.0.cgroup
            }
            None => death(world, program)?.cgroup,
        };
        ensure!(
            told == cgroup,
            "{} is said to have been in {told}",
            program.display()
        );
    }
    Ok(Outcome::Pass(String::new()))
}

/// `kubectl exec` puts another process into the cgroup of a container.
pub(super) fn joined(world: &mut World) -> Result<Outcome> {
    let cgroup = Cgroup::container(330)?;
    let program = world.program("joined", world.foreign(), Program::Pause)?;
    let binary = program.display().to_string();
    let mut running = Vec::new();
    for times in 1..=2 {
        let mut command = inside(&cgroup, &program).command()?;
        running.push(Running::start("guest", &mut command, None)?);
        world.counted(&binary, "emulated", times, SOON)?;
        // An exec is counted before its process is: a reading may fall between the two.
        eventually(SOON, || {
            let (fact, _) = world.counted(&binary, "emulated", times, SOON)?;
            ensure!(
                fact.cgroup == cgroup.name() && fact.processes == times,
                "it is told as {fact:?}"
            );
            Ok(())
        })?;
    }
    drop(running);
    Ok(Outcome::Pass(String::new()))
}

/// Pods whose processes run under another kernel are said to be out of sight.
pub(super) fn sandboxes(world: &mut World) -> Result<Outcome> {
    fs::create_dir(world.dir().join("kata"))?;
    let _pods = Cgroup::pods()?;
    let mut sandboxes = Vec::new();
    for (number, program, runtime) in [
        (340, "runsc-sandbox", "gvisor"),
        (341, "kata/cloud-hypervisor", "kata"),
    ] {
        let cgroup = Cgroup::container(number)?;
        let program = world.program(program, world.native(), Program::Pause)?;
        let mut command = inside(&cgroup, &program).command()?;
        let running = Running::start("sandbox", &mut command, None)?;
        // In this order, so that the process is gone before its cgroup.
        sandboxes.push((running, cgroup, runtime));
    }
    for (_, cgroup, runtime) in &sandboxes {
        eventually(Duration::from_secs(60), || {
            let node = world.node()?;
            let uncovered = node["preflight"]["uncovered"].as_array();
            let told = uncovered.is_some_and(|list| {
                list.iter()
                    .any(|pod| pod["cgroup"] == cgroup.name() && pod["runtime"] == *runtime)
            });
            ensure!(told, "{runtime} is not among {uncovered:?}");
            Ok(())
        })?;
    }
    Ok(Outcome::Pass(String::new()))
}

/// A thread that executes another program takes over the process id of its leader.
pub(super) fn threads(world: &mut World) -> Result<Outcome> {
    let starter = world.program("thread", world.native(), Program::ExecInThread)?;
    let guest = world.program("of-a-thread", world.foreign(), Program::Pause)?;
    let binary = guest.display().to_string();
    let mut command = Command::new(&starter);
    let running = Running::start("starter", command.arg(&guest), None)?;
    let alive = |expected| {
        eventually(SOON, || {
            let (fact, _) = world.counted(&binary, "emulated", 1, Duration::ZERO)?;
            ensure!(
                fact.processes == expected,
                "{} processes of {expected} are said to be alive",
                fact.processes
            );
            Ok(())
        })
    };
    alive(1)?;
    drop(running);
    alive(0)?;
    Ok(Outcome::Pass(String::new()))
}

fn inside(cgroup: &Cgroup, program: &Path) -> Launch {
    Launch {
        cgroup: Some(cgroup.dir().to_owned()),
        ..Launch::new(program)
    }
}
