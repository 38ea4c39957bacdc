//! Every exec is counted, once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use archtrace_guests::{Ident, Program, header_only};

use super::Outcome;
use crate::binfmt::Handler;
use crate::world::{Place, World, run};

/// Counts of foreign binaries are exact within a second.
pub(super) fn emulated(world: &mut World) -> Result<Outcome> {
    let mut told = Vec::new();
    for times in [1, 10] {
        let name = format!("emulated-{times}");
        let program = world.program(name, world.foreign(), Program::Exit(0))?;
        told.push(exact(world, &program, times)?);
    }
    // What is counted is the kernel's work. So that an emulated CPU does not spend minutes on
    // starting QEMU, this emulator ends at once, whatever it is given.
    let machine = Ident {
        machine: 243,
        wide: true,
        big_endian: false,
    };
    let emulator = world.program("emulator", world.native(), Program::Exit(0))?;
    let _handler = Handler::emulate("archtrace-test-many", machine, &emulator, "F")?;
    let program = world.file("emulated-1000", &header_only(machine))?;
    told.push(exact(world, &program, 1000)?);
    Ok(Outcome::Pass(told.join(", ")))
}

/// Runs `program` so many times, and waits until they are counted.
fn exact(world: &World, program: &Path, times: u32) -> Result<String> {
    run(program, times)?;
    let binary = program.display().to_string();
    let (_, after) = world.counted(
        &binary,
        "emulated",
        u64::from(times),
        Duration::from_secs(1),
    )?;
    Ok(format!("{times} after {} ms", after.as_millis()))
}

/// Counts of native binaries are exact within a minute, and none makes an event.
pub(super) fn native(world: &mut World) -> Result<Outcome> {
    let times = if world.place() == Place::Vm {
        // An emulated CPU takes half a minute for more.
        300
    } else {
        100_000
    };
    let program = world.program("native-many", world.native(), Program::Exit(0))?;
    let before = events(world)?;
    run(&program, times)?;
    let binary = program.display().to_string();
    let (_, after) = world.counted(&binary, "native", u64::from(times), Duration::from_secs(60))?;
    let told = world.client().events()?;
    ensure!(
        told.iter().all(|event| event.binary != binary),
        "there is an event of it"
    );
    if world.place() == Place::Vm {
        let more = events(world)? - before;
        ensure!(more == 0, "{more} events were told meanwhile");
    }
    Ok(Outcome::Pass(format!(
        "{times} after {} ms",
        after.as_millis()
    )))
}

/// How many events were told, other than of handlers: those of the cases before come and go.
fn events(world: &World) -> Result<usize> {
    let events = world.client().events()?;
    Ok(events
        .iter()
        .filter(|event| event.handler.is_none())
        .count())
}
