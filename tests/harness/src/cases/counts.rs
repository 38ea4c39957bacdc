//! Every exec is counted, once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use archtrace_guests::Program;

use crate::world::{Place, World, run};

/// Counts of foreign binaries are exact within a second.
pub(super) fn emulated(world: &mut World) -> Result<String> {
    // An emulated CPU that runs the emulator takes a while for each.
    let many = if world.place() == Place::Vm {
        300
    } else {
        1000
    };
    let mut told = Vec::new();
    for times in [1, 10, many] {
        let program = world.program(
            format!("emulated-{times}"),
            world.foreign(),
            Program::Exit(0),
        )?;
        run(&program, times)?;
        let binary = program.display().to_string();
        let (_, after) = world.counted(
            &binary,
            "emulated",
            u64::from(times),
            Duration::from_secs(1),
        )?;
        told.push(format!("{times} after {} ms", after.as_millis()));
    }
    Ok(told.join(", "))
}

/// Counts of native binaries are exact within a minute, and none makes an event.
pub(super) fn native(world: &mut World) -> Result<String> {
    let times = if world.place() == Place::Vm {
        10_000
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
        told.iter()
            .all(|event| event.binary.as_deref() != Some(&*binary)),
        "there is an event of it"
    );
    if world.place() == Place::Vm {
        let more = events(world)? - before;
        ensure!(more == 0, "{more} events were stored meanwhile");
    }
    Ok(format!("{times} after {} ms", after.as_millis()))
}

/// How many events the collector has stored.
fn events(world: &World) -> Result<u64> {
    let status = world.client().ask(&["status"])?;
    let status = status.first().context("`archtrace status` said nothing")?;
    status["events"]
        .as_u64()
        .with_context(|| format!("no events in {status}"))
}
