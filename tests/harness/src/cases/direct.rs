//! Emulators that somebody starts with a guest as their argument.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use archtrace_guests::{Emulator, Program};

use super::Outcome;
use super::kinds::SOON;
use crate::launch::Launch;
use crate::process::Running;
use crate::wait::eventually;
use crate::world::World;

/// Known by what they are and what they map, not by their names; and what only reads foreign files
/// is none.
pub(super) fn emulators(world: &mut World) -> Result<Outcome> {
    let reader = world.program("reader", world.native(), Program::Load(Emulator::None))?;
    let read = world.program("only-read", world.foreign(), Program::Exit(0))?;
    let mut reading = Command::new(&reader);
    let reading = Running::start("reader", reading.arg(&read), None)?;

    let like_box64 = Program::Load(Emulator::Box64);
    let like_qemu = Program::Load(Emulator::Qemu);
    let real = world.emulator().to_owned();
    for (name, emulator) in [
        ("box", world.program("java", world.native(), like_box64)?),
        ("user", world.program("sh", world.native(), like_qemu)?),
        ("real", real),
    ] {
        let name = format!("direct-{name}");
        let guest = world.program(name, world.foreign(), Program::Pause)?;
        // The second finds an emulator that is known already.
        for times in 1..=2 {
            started_directly(world, &emulator, &guest, times)?;
        }
    }
    gives_way(world)?;
    let facts = world.client().facts(&["--mode", "emulated"])?;
    let told = facts
        .iter()
        .find(|fact| Some(&*fact.binary) == read.to_str());
    ensure!(
        told.is_none(),
        "a reader is taken for an emulator: {told:?}"
    );
    drop(reading);
    Ok(Outcome::Pass(String::new()))
}

/// An emulator that executes a foreign file itself, which the registered one then interprets: that
/// is one exec of one guest, by `binfmt_misc`.
fn gives_way(world: &World) -> Result<()> {
    let emulator = world.program("gives-way", world.native(), Program::ExecByEmulator)?;
    let guest = world.program("direct-not", world.foreign(), Program::Pause)?;
    let binary = guest.display().to_string();
    for times in 1..=3 {
        let mut command = Command::new(&emulator);
        let running = Running::start("emulator", command.arg(&guest), None)?;
        let (fact, _) = world.counted(&binary, "emulated", times, SOON)?;
        ensure!(
            fact.via.as_deref() == Some("binfmt_misc"),
            "it is said to have come by {:?}",
            fact.via
        );
        drop(running);
    }
    Ok(())
}

/// Has `emulator` run `guest` the `times`th time, and checks what is seen.
fn started_directly(world: &World, emulator: &Path, guest: &Path, times: u64) -> Result<()> {
    let mut command = Command::new(emulator);
    let running = Running::start("emulator", command.arg(guest), None)?;
    let binary = guest.display().to_string();
    let (fact, _) = world.counted(&binary, "emulated", times, SOON)?;
    ensure!(
        fact.arch == world.foreign().as_str(),
        "{binary} is said to be {}",
        fact.arch
    );
    ensure!(
        fact.via.as_deref() == Some("direct") && fact.emulator.as_deref() == emulator.to_str(),
        "{binary} is said to have come by {:?} to {:?}",
        fact.via,
        fact.emulator
    );
    drop(running);
    eventually(SOON, || {
        let (fact, _) = world.counted(&binary, "emulated", times, SOON)?;
        ensure!(fact.processes == 0, "{} are said to live", fact.processes);
        Ok(())
    })?;
    Ok(())
}

/// BuildKit puts its emulator in front of what it runs, and that starts itself again for children.
pub(super) fn build(world: &mut World) -> Result<Outcome> {
    const EMULATOR: &str = "/dev/.buildkit_qemu_emulator";
    let root = world.dir().join("build");
    for dir in ["dev", "proc"] {
        fs::create_dir_all(root.join(dir))?;
    }
    let emulator = Program::Load(Emulator::BuildKit);
    world.program(format!("build{EMULATOR}"), world.native(), emulator)?;
    for (guest, front) in [
        ("/build-step", &["-0", "build-step"][..]),
        ("/build-child", &[]),
    ] {
        world.program(format!("build{guest}"), world.foreign(), Program::Pause)?;
        let arguments = [&[EMULATOR], front, &[guest]].concat();
        let launch = Launch {
            root: Some(root.clone()),
            mounts: true,
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            ..Launch::new(Path::new(EMULATOR))
        };
        let running = Running::start("build", &mut launch.command()?, None)?;
        let (fact, _) = world.counted(guest, "emulated", 1, SOON)?;
        ensure!(
            fact.via.as_deref() == Some("build") && fact.arch == world.foreign().as_str(),
            "{guest} is told as {fact:?}"
        );
        drop(running);
    }
    Ok(Outcome::Pass(String::new()))
}
