//! Who dies of SIGILL, of which instruction, and who only asks.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Instruction, Isa, Program};
use nix::sys::signal::Signal;

use super::Outcome;
use super::kinds::SOON;
use crate::client::Event;
use crate::process::Running;
use crate::wait::eventually;
use crate::world::World;

/// `ud2` or `udf`: its bytes, where it is, and that no CPU has it.
pub(super) fn native(world: &mut World) -> Result<Outcome> {
    let undefined = Program::Execute(Instruction::Undefined);
    let program = world.program("undefined", world.native(), undefined)?;
    dies(&program)?;
    let event = death(world, &program)?;
    ensure!(
        event.arch == world.native().as_str(),
        "its architecture is {}",
        event.arch
    );
    let instruction = event.instruction.context("no instruction is told")?;
    let (bytes, mnemonic) = match world.native() {
        Isa::Amd64 => ("0f0b", "ud2"),
        _ => ("00000000", "udf"),
    };
    ensure!(
        instruction.origin == "cpu"
            && instruction.mnemonic.as_deref() == Some(mnemonic)
            && instruction
                .bytes
                .as_deref()
                .is_some_and(|told| told.starts_with(bytes)),
        "the instruction is said to be {instruction:?}"
    );
    // Behind the header of the file and one program header. A process may be gone before its maps
    // are read.
    let place = instruction
        .module
        .as_deref()
        .zip(instruction.offset.as_deref());
    ensure!(
        place.is_none() || place == program.to_str().map(|path| (path, "0x78")),
        "it is said to be at {place:?}"
    );
    Ok(Outcome::Pass(event.message.unwrap_or_default()))
}

/// Instructions of extensions that this CPU has not.
pub(super) fn extensions(world: &mut World) -> Result<Outcome> {
    let rows: &[_] = match world.native() {
        Isa::Amd64 => &[("avx512", Instruction::Avx512, "AVX512")],
        _ => &[
            ("sve", Instruction::Sve, "SVE"),
            ("lse", Instruction::Lse, "LSE"),
        ],
    };
    let mut told = Vec::new();
    for (name, instruction, extension) in rows {
        let program = world.program(name, world.native(), Program::Execute(*instruction))?;
        if status(&program)?.success() {
            continue;
        }
        let event = death(world, &program)?;
        let instruction = event.instruction.context("no instruction is told")?;
        ensure!(
            instruction
                .extension
                .as_deref()
                .is_some_and(|told| told.starts_with(extension))
                && instruction.cpu_has == Some(false),
            "the instruction is said to be {instruction:?}"
        );
        told.push(event.message.unwrap_or_default());
    }
    if told.is_empty() {
        return Ok(Outcome::NotApplicable(
            "this CPU has AVX-512, or SVE and LSE, so nothing dies of them",
        ));
    }
    Ok(Outcome::Pass(told.join("; ")))
}

/// A handled SIGILL is a question to the CPU, and no death.
pub(super) fn handled(world: &mut World) -> Result<Outcome> {
    let probe = world.program("probe", world.native(), Program::Probe)?;
    let status = status(&probe)?;
    ensure!(status.success(), "the probe ended with {status}");
    let undefined = Program::Execute(Instruction::Undefined);
    let program = world.program("after-probe", world.native(), undefined)?;
    dies(&program)?;
    // Told after what the probe would have been.
    death(world, &program)?;
    let events = world.client().events()?;
    let of_it = events
        .iter()
        .find(|event| Some(&*event.binary) == probe.to_str());
    ensure!(of_it.is_none(), "an event was told: {of_it:?}");
    Ok(Outcome::Pass(String::new()))
}

/// A guest: itself is named, and never the emulator's own instruction.
pub(super) fn emulated(world: &mut World) -> Result<Outcome> {
    let mut told = Vec::new();
    // QEMU has neither AVX-512 nor an undefined instruction.
    for (name, instruction) in [
        ("guest-undefined", Instruction::Undefined),
        ("guest-avx512", Instruction::Avx512),
    ] {
        let program = world.program(name, world.foreign(), Program::Execute(instruction))?;
        dies(&program)?;
        let event = death(world, &program)?;
        ensure!(
            event.arch == world.foreign().as_str(),
            "its architecture is {}",
            event.arch
        );
        ensure!(
            event.emulator.as_deref() == world.emulator().to_str(),
            "its emulator is {:?}",
            event.emulator
        );
        let bytes = event
            .instruction
            .as_ref()
            .and_then(|instruction| instruction.bytes.as_deref());
        ensure!(
            bytes.is_none_or(str::is_empty),
            "an instruction is told: {:?}",
            event.instruction
        );
        told = vec![event.message.unwrap_or_default()];
    }
    Ok(Outcome::Pass(told.join("; ")))
}

/// By the process itself or by another: nobody's instruction.
pub(super) fn sent(world: &mut World) -> Result<Outcome> {
    let program = world.program("raises", world.native(), Program::Raise)?;
    dies(&program)?;
    let by_itself = death(world, &program)?;

    let program = world.program("is-sent", world.native(), Program::Pause)?;
    let running = Running::start("guest", &mut Command::new(&program), None)?;
    running.signal(Signal::SIGILL)?;
    let by_another = death(world, &program)?;

    for (event, origin, sender) in [
        (by_itself, "self", None),
        (by_another, "process", Some(std::process::id())),
    ] {
        let instruction = event
            .instruction
            .context("nobody is said to be behind it")?;
        ensure!(
            instruction.origin == origin && instruction.mnemonic.is_none(),
            "{instruction:?} is told, the origin is {origin}"
        );
        ensure!(
            sender.is_none() || instruction.sender == sender,
            "the sender is {sender:?}, told is {:?}",
            instruction.sender
        );
    }
    Ok(Outcome::Pass(String::new()))
}

/// Runs a program that has to die of SIGILL.
pub(super) fn dies(program: &Path) -> Result<()> {
    let status = status(program)?;
    ensure!(
        status.signal() == Some(Signal::SIGILL as i32),
        "{} ended with {status}",
        program.display()
    );
    Ok(())
}

fn status(program: &Path) -> Result<ExitStatus> {
    // User-mode QEMU says on stderr what its guest died of.
    Command::new(program)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("run {}", program.display()))
}

/// The event of the death of `program`, which died once.
pub(super) fn death(world: &World, program: &Path) -> Result<Event> {
    let client = world.client();
    let (event, _) = eventually(SOON, || {
        let events = client.events()?;
        let mut events = events
            .into_iter()
            .filter(|event| event.kind == "illegal_instruction")
            .filter(|event| Some(&*event.binary) == program.to_str());
        let event = events
            .next()
            .with_context(|| format!("no event of {}", program.display()))?;
        ensure!(events.next().is_none(), "one death was told twice");
        Ok(event)
    })?;
    ensure!(
        event.message.as_ref().is_some_and(|text| !text.is_empty()),
        "there is no sentence for people"
    );
    Ok(event)
}
