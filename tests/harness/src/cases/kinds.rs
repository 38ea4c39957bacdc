//! How a binary ran, or why it did not.

use std::ffi::CString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::{Ident, Isa, Program, header_only};

use crate::descriptor;
use crate::process::Running;
use crate::wait::eventually;
use crate::world::{NODE, World, run};

/// Generous, where the time is not what is asserted.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// `ENOEXEC` (`errno(3)`).
pub(super) const ENOEXEC: i32 = 8;

/// A foreign binary that keeps running is visible soon after its exec, with all that is known.
pub(super) fn emulated(world: &mut World) -> Result<String> {
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
    Ok(format!("visible after {} ms", after.as_millis()))
}

/// A binary of this machine is native.
pub(super) fn native(world: &mut World) -> Result<String> {
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
    Ok(format!("visible after {} ms", after.as_millis()))
}

/// 32-bit x86 on amd64 is no emulation.
pub(super) fn compat(world: &mut World) -> Result<String> {
    if world.native() != Isa::Amd64 {
        return Ok(
            "nothing to see: arm64 nodes do not run 386 and there are no arm guests".to_owned(),
        );
    }
    let program = world.program("compat", Isa::I386, Program::Exit(0))?;
    run(&program, 1)?;
    let (fact, _) = world.counted(
        &program.display().to_string(),
        "compat",
        1,
        Duration::from_secs(60),
    )?;
    ensure!(fact.arch == "386", "its architecture is {}", fact.arch);
    Ok(String::new())
}

/// Script, foreign interpreter, emulator: the middle one is the guest.
pub(super) fn script(world: &mut World) -> Result<String> {
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
    Ok(String::new())
}

/// Foreign binaries without a handler: an event each that says why, and an exact count.
pub(super) fn failed(world: &mut World) -> Result<String> {
    let rows = [
        (
            "failed-riscv64",
            Ident {
                machine: 243,
                wide: true,
                big_endian: false,
            },
            "riscv64",
        ),
        (
            "failed-s390x",
            Ident {
                machine: 22,
                wide: true,
                big_endian: true,
            },
            "s390x",
        ),
        (
            "failed-unknown",
            Ident {
                machine: 0x1234,
                wide: true,
                big_endian: false,
            },
            "em_4660",
        ),
    ];
    for (name, ident, arch) in rows {
        let program = world.file(name, &header_only(ident))?;
        refused(
            world,
            &program.display().to_string(),
            3,
            arch,
            "foreign_elf",
        )?;
    }
    Ok(String::new())
}

/// Tries to run `binary` several times, and checks what was seen of that.
pub(super) fn refused(
    world: &World,
    binary: &str,
    times: u64,
    arch: &str,
    cause: &str,
) -> Result<()> {
    let lives = !world.sees_headers()?;
    for _ in 0..times {
        let errno = attempt(binary, lives)?;
        ensure!(errno == Some(ENOEXEC), "execve returned {errno:?}");
    }
    let (fact, _) = world.counted(binary, "failed", times, SOON)?;
    ensure!(fact.arch == arch, "{binary} is said to be {}", fact.arch);
    let client = world.client();
    eventually(SOON, || {
        let events = client.events()?;
        let mut events = events.iter().filter(|event| event.binary == binary);
        let event = events
            .find(|event| event.kind == "failed_exec")
            .with_context(|| format!("no event of {binary}"))?;
        let told = (&*event.arch, event.cause.as_deref(), event.errno);
        ensure!(
            told == (arch, Some(cause), Some(ENOEXEC)),
            "the event of {binary} says {event:?}"
        );
        Ok(())
    })?;
    Ok(())
}

/// The error of `execve(binary)`, by a child or, if the process has to live on for its files to
/// be looked at, by this process itself.
fn attempt(binary: &str, lives: bool) -> Result<Option<i32>> {
    if lives {
        // Not by Command::exec, which has a shell try what the kernel refused.
        let path = CString::new(binary)?;
        let Err(error) = nix::unistd::execv(&path, &[&path]);
        return Ok(Some(error as i32));
    }
    let error = Command::new(binary).stdin(Stdio::null()).spawn().err();
    Ok(error.context("it was not refused")?.raw_os_error())
}

/// However a binary is named to `execve`, its absolute path is told.
pub(super) fn relative(world: &mut World) -> Result<String> {
    let program = world.program("relative", world.foreign(), Program::Pause)?;
    let mut command = Command::new("./relative");
    command.current_dir(world.dir()).arg0("something else");
    let running = Running::start("guest", &mut command, None)?;
    world.counted(&program.display().to_string(), "emulated", 1, SOON)?;
    drop(running);
    if !world.sees_headers()? {
        return Ok("by a relative path".to_owned());
    }

    let program = world.program("descriptor", world.foreign(), Program::Exit(0))?;
    let status = descriptor::command(&program)?
        .stdin(Stdio::null())
        .status()?;
    ensure!(status.success(), "by a descriptor it ended with {status}");
    world.counted(&program.display().to_string(), "emulated", 1, SOON)?;
    Ok("by a relative path and by a descriptor".to_owned())
}
